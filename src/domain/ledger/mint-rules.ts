// The life of a mint: begun once, announced once, answered once, and each entry of it says the same.

import { type Approval, Approvals, outsideApproval } from './approvals.js'
import { STS_AUDIENCE } from './audience.js'
import type { ParentSession, Scope } from './child-session.js'
import {
  type Announced,
  CLOCK_SKEW_MS,
  credentialProblems,
  jwtProblems,
  type Problem,
  refusalProblems,
  scopeProblems,
  sessionNameProblems,
} from './credential-rules.js'
import { CutOffs } from './cut-offs.js'
import { type Grant, type GrantAsk, grantedResources, Grants, outsideGrant } from './grants.js'
import type { EventOf, PolicyVerdict } from './events.js'
import type { MeaningProblem } from './findings.js'
import { MintIdMemory, type MintIdState, mintIdTime } from './mint-id-memory.js'
import { LoadedPolicies } from './policy-rules.js'
import { GenerationalMap, type GenerationalMapIds, type GenerationalMapState } from './generational-map.js'

/** How many mints without an end are remembered at least, to match an outcome with its request. */
const REMEMBERED_UNFINISHED = 25_000

/** How many access keys and signing inputs are remembered at least: each is there once. */
const REMEMBERED_CREDENTIALS = 50_000

/** A mint between its session and its end. */
interface Mint {
  wallet: string
  tokenSha256: string
  agent?: string
  /** What it uses, once that is known. */
  grant?: Grant
  approval?: Approval
  /** Of a child session. */
  scope?: Scope
  parents?: readonly ParentSession[]
  /** Where the operator has a policy: what it said. */
  policy?: PolicyVerdict
  /** Set once STS is about to be asked. */
  announced?: Announced
}

type Refused = Pick<Mint, 'wallet'> & { mintId: string; reason: string; decided?: true }

export interface MintsState {
  mintIds: MintIdState
  unfinished: GenerationalMapState<Mint>
  accessKeys: GenerationalMapIds
  signingInputs: GenerationalMapIds
  policies: string[]
  justRefused: Refused | null
}

type Credential = EventOf<'CredsMinted' | 'CredsMintFailed'>['data']

export class Mints {
  /** The time of the entry that is being read, in milliseconds. */
  at = 0
  /** Whom the operator has cut off by now. */
  cutOffs = new CutOffs()
  grants = new Grants()
  approvals = new Approvals()
  policies = new LoadedPolicies()
  /** The mint that the entries before refused: nothing but what belongs to that came after it. */
  justRefused: Refused | undefined
  private readonly mintIds = new MintIdMemory()
  /** Mints that ended are taken out, so that only those that never ended push one another out. */
  private readonly unfinished = new GenerationalMap<Mint>(REMEMBERED_UNFINISHED)
  private readonly accessKeys = new GenerationalMap<true>(REMEMBERED_CREDENTIALS)
  private readonly signingInputs = new GenerationalMap<true>(REMEMBERED_CREDENTIALS)

  /** `counts.unanswered` is kept up to date. */
  constructor(
    private readonly found: (kind: MeaningProblem, detail: string) => void,
    private readonly counts: { unanswered: number },
    state?: MintsState,
  ) {
    if (!state) return
    this.mintIds.restore(state.mintIds)
    this.unfinished.restore(state.unfinished)
    this.accessKeys.restoreIds(state.accessKeys, true)
    this.signingInputs.restoreIds(state.signingInputs, true)
    this.policies = new LoadedPolicies(state.policies)
    this.justRefused = state.justRefused ?? undefined
  }

  state(): MintsState {
    return {
      mintIds: this.mintIds.state(),
      unfinished: structuredClone(this.unfinished.state()),
      accessKeys: this.accessKeys.ids(),
      signingInputs: this.signingInputs.ids(),
      policies: this.policies.all(),
      justRefused: this.justRefused ?? null,
    }
  }

  sessionValidated({ mintId, wallet, tokenSha256, agent }: EventOf<'SessionValidated'>['data']): void {
    const mint = { wallet, tokenSha256, ...(agent === undefined ? {} : { agent }) }
    if (this.begun(mintId)) this.unfinished.set(mintId, mint)
  }

  sessionScoped(data: EventOf<'SessionScoped'>['data']): void {
    const { services, readOnly, parents, mintId } = data
    const mint = this.session(data)
    if (mint?.scope) this.found('mint-out-of-turn', `mint ${mintId} has a scope already`)
    else if (mint) Object.assign(mint, { scope: { services, readOnly }, parents })
  }

  /** Called before the grant counts the use. */
  grantUsed(data: EventOf<'GrantUsed'>['data']): void {
    const mint = this.session(data)
    if (mint?.grant) this.found('grant-out-of-turn', `mint ${data.mintId} uses a grant already`)
    const problem = this.grants.useProblem(data.grantId, this.at)
    if (problem) this.found(problem.kind, problem.detail)
    const grant = this.grants.get(data.grantId)
    if (mint && grant) mint.grant = grant
  }

  /** Part of the refusal of the mint that it is for. */
  approvalRequested(data: EventOf<'ApprovalRequested'>['data']): void {
    const { mintId, wallet } = data
    const refused = this.justRefused
    this.justRefused = undefined
    if (refused?.mintId !== mintId || refused.wallet !== wallet || refused.reason !== 'approval-required')
      this.found('approval-out-of-turn', 'the entry before does not refuse this mint for want of an approval')
    const problem = this.approvals.requestProblem(data, this.at)
    if (problem) this.found(problem.kind, problem.detail)
  }

  /** Called before the approval is used up. */
  approvalUsed(data: EventOf<'ApprovalUsed'>['data']): void {
    const mint = this.session(data)
    if (mint?.approval) this.found('approval-out-of-turn', `mint ${data.mintId} uses an approval already`)
    const problem = this.approvals.useProblem(data.approvalId, this.at)
    if (problem) this.found(problem.kind, problem.detail)
    const approval = this.approvals.get(data.approvalId)
    if (mint && approval) mint.approval = approval
  }

  policyDecided(data: EventOf<'PolicyDecided'>['data']): void {
    const { mintId, wallet, policySha256, decision } = data
    if (!this.policies.has(policySha256))
      this.found('policy-not-loaded', 'no entry before this one loads a policy of this hash')
    const refused = this.justRefused
    if (refused?.mintId === mintId && !refused.decided) {
      refused.decided = true
      if (refused.wallet !== wallet) this.found('wrong-wallet', 'another wallet was refused')
      if (decision === 'allow') this.found('mint-out-of-turn', 'the policy allowed what was refused')
      return
    }
    this.justRefused = undefined
    const mint = this.session(data)
    if (mint?.policy) this.found('mint-out-of-turn', `a policy has decided mint ${mintId} already`)
    else if (mint) mint.policy = decision
  }

  refused(data: EventOf<'MintRefused'>['data']): void {
    this.begun(data.mintId)
    const { mintId, wallet, reason } = data
    this.justRefused = { mintId, wallet, reason }
    this.foundAll(refusalProblems(data))
  }

  jwtIssued(data: EventOf<'JwtIssued'>['data']): void {
    const { mintId, purpose, aud: audience, roleArn, signingInputSha256 } = data
    const mint = this.session(data)
    this.foundAll(jwtProblems(data, this.at))
    this.checkPolicy(mint)
    if (mint?.scope) this.foundAll(scopeProblems(mint.scope, { audience, roleArn }))
    this.checkCutOff(mint, { mintId, roleArn })
    const action = purpose === 'sts' ? 'aws_creds' : 'oidc_jwt'
    this.checkGrant(mint, { action, resources: grantedResources(action, { audience, roleArn }) })
    const lifetimeSeconds = purpose === 'sts' ? undefined : data.exp - data.iat
    this.checkApproval(mint, { kind: action, audience, roleArn, lifetimeSeconds })
    if (!this.signingInputs.has(signingInputSha256)) this.signingInputs.set(signingInputSha256, true)
    else if (mint)
      this.found('signing-input-repeated', 'a JWT of the same signing input was announced before')

    if (purpose === 'sts') this.announced(mint, { at: this.at, roleArn: roleArn ?? '' })
    else this.unfinished.delete(mintId)
  }

  credsRequested(data: EventOf<'CredsRequested'>['data']): void {
    const { roleArn, roleSessionName, durationSeconds } = data
    const mint = this.session(data)
    this.foundAll(sessionNameProblems(data))
    this.checkPolicy(mint)
    if (mint?.scope) this.foundAll(scopeProblems(mint.scope, { audience: STS_AUDIENCE, roleArn }))
    this.checkCutOff(mint, data)
    this.checkGrant(mint, { action: 'aws_creds', resources: grantedResources('aws_creds', { roleArn }) })
    this.checkApproval(mint, { ...ofAws(roleArn), lifetimeSeconds: durationSeconds })
    this.announced(mint, { at: this.at, roleArn, roleSessionName, durationSeconds })
  }

  credsMinted(data: EventOf<'CredsMinted'>['data']): void {
    const mint = this.unfinished.get(data.mintId)
    this.checkCutOff(mint, data)
    this.checkApproval(mint, { ...ofAws(data.roleArn), lifetimeSeconds: data.durationSeconds })
    const announced = this.answered(data)
    if (announced) this.foundAll(credentialProblems(data, announced, this.at))
    // An entry that is out of turn has a finding already.
    if (!this.accessKeys.has(data.accessKeyId)) this.accessKeys.set(data.accessKeyId, true)
    else if (announced) this.found('access-key-repeated', 'the same access key was minted before')
  }

  /** What was announced, of a mint that STS was about to be asked for and that had no outcome yet. */
  answered({ mintId, wallet, roleArn }: Credential): Announced | undefined {
    const mint = this.unfinished.get(mintId)
    if (!mint?.announced) {
      if (!mint && this.mintIds.has(mintId)) this.found('mint-out-of-turn', `mint ${mintId} has ended before`)
      else
        this.found(
          'no-request',
          `no JwtIssued for STS and no CredsRequested of mint ${mintId} is before this entry`,
        )
      return undefined
    }
    if (mint.wallet !== wallet) this.found('wrong-wallet', 'the session was validated for another wallet')
    if (mint.announced.roleArn !== roleArn) this.found('wrong-role', 'another role was announced')
    this.unfinished.delete(mintId)
    this.counts.unanswered -= 1
    return mint.announced
  }

  /** Whether the mint is new, as it must be: its id is the `jti` by which a JWT is found again. */
  private begun(mintId: string): boolean {
    if (this.mintIds.has(mintId)) {
      this.found('mint-id-repeated', `mint ${mintId} has begun before`)
      return false
    }
    if (Math.abs(mintIdTime(mintId) - this.at) > CLOCK_SKEW_MS)
      this.found('mint-id-wrong-time', `the time in mint id ${mintId} is not that of this entry`)
    else if (this.mintIds.mayBeForgotten(mintId))
      this.found('mint-id-out-of-order', `mint ${mintId} is not later than mints no longer remembered`)
    if (!this.mintIds.add(mintId, this.at))
      this.found('mint-id-wrong-time', 'too many mint ids are later than their entries to remember this one')
    return true
  }

  /** The mint that a credential is announced for: begun, and not announced yet. */
  private session({ mintId, wallet }: { mintId: string; wallet: string }): Mint | undefined {
    const mint = this.unfinished.get(mintId)
    if (!mint) {
      if (this.mintIds.has(mintId)) this.found('mint-out-of-turn', `mint ${mintId} has ended before`)
      else this.found('no-session', `no SessionValidated of mint ${mintId} is before this entry`)
      return undefined
    }
    if (mint.wallet !== wallet) this.found('wrong-wallet', 'the session was validated for another wallet')
    if (!mint.announced) return mint
    this.found('mint-out-of-turn', `mint ${mintId} has asked STS before`)
    return undefined
  }

  private announced(mint: Mint | undefined, announced: Announced): void {
    if (!mint) return
    mint.announced = announced
    this.counts.unanswered += 1
  }

  private checkPolicy(mint: Mint | undefined): void {
    if (mint?.policy && mint.policy !== 'allow')
      this.found('against-policy', 'the policy did not allow this mint')
  }

  /** Brokers decide this inside the append, so no order of events lets a mint through. */
  private checkCutOff(
    mint: Mint | undefined,
    { mintId, roleArn }: { mintId: string; roleArn?: string | undefined },
  ): void {
    if (!mint) return
    const { wallet, tokenSha256, parents = [] } = mint
    const through = this.cutOffs.covering({ mintId, wallet, tokenSha256, parents, roleArn })
    if (through) this.found('after-cut-off', `the ${through} was cut off before this entry`)
  }

  private checkGrant(mint: Mint | undefined, asked: Pick<GrantAsk, 'action' | 'resources'>): void {
    if (!mint?.grant) return
    const { wallet, agent } = mint
    const problem = outsideGrant(mint.grant, { wallet, agent, ...asked })
    if (problem) this.found(problem.kind, problem.detail)
  }

  private checkApproval(
    mint: Mint | undefined,
    minted: Omit<Parameters<typeof outsideApproval>[1], 'wallet' | 'agent'>,
  ): void {
    if (!mint?.approval) return
    const { wallet, agent } = mint
    const problem = outsideApproval(mint.approval, { wallet, agent, ...minted })
    if (problem) this.found(problem.kind, problem.detail)
  }

  private foundAll(problems: Iterable<Problem>): void {
    for (const { kind, detail } of problems) this.found(kind, detail)
  }
}

const ofAws = (roleArn: string) => ({ kind: 'aws_creds' as const, audience: STS_AUDIENCE, roleArn })
