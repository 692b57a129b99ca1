import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs'

import { type AwsCredentials, Sts, StsError } from '../aws/sts.js'
import { roleSessionName, sourceIdentity, walletTags } from '../domain/aws-session.js'
import type { Sealed } from '../domain/ledger/entry.js'
import type { CredsFailureCode, LedgerEvent } from '../domain/ledger/events.js'
import {
  type Caller,
  type CredsAsk,
  type CredsGrant,
  decideCreds,
  jwtClaims,
  jwtIssued,
  MintPolicy,
  STS_AUDIENCE,
} from '../domain/mint.js'
import { LedgerError } from '../domain/ledger-error.js'
import { releaseLevel, ReleasePolicy } from '../domain/release.js'
import { Ledger, type LedgerReference } from '../ledger/ledger.js'
import { TokenSigner } from '../oidc/token-signer.js'
import { SessionError } from '../session/session-backend.js'
import { IdempotentMints, type Replayable } from './idempotent-mints.js'
import { cutOff, type Identified, isCutOff, MintAuthorizer } from './mint-authorizer.js'
import { withActiveKey } from './with-active-key.js'

export interface MintedCreds {
  credentials: AwsCredentials
  mintId: string
  wallet: string
  roleArn: string
  expiresAt: Date
  ledger: LedgerReference
}

export class MintAwsCreds extends Command<Replayable<MintedCreds>> {
  constructor(
    readonly bearer: string,
    readonly ask: CredsAsk,
    /** Of the retry, if it is one. */
    readonly idempotencyKey?: string,
  ) {
    super()
  }
}

/** What STS is asked for, and the event that announces it. `act` must not be called before that event is durable. */
interface Exchange {
  announced: LedgerEvent
  act: () => Promise<AwsCredentials>
}

/** Record, act, record: what STS will be asked is durable before it is asked, what it gave before the caller sees it. */
@CommandHandler(MintAwsCreds)
export class MintAwsCredsHandler implements ICommandHandler<MintAwsCreds> {
  constructor(
    private readonly authorizer: MintAuthorizer,
    private readonly policy: MintPolicy,
    private readonly releases: ReleasePolicy,
    private readonly ledger: Ledger,
    private readonly signer: TokenSigner,
    private readonly sts: Sts,
    private readonly idempotent: IdempotentMints,
  ) {}

  async execute({ bearer, ask, idempotencyKey: key }: MintAwsCreds): Promise<Replayable<MintedCreds>> {
    const caller = await this.authorizer.identify(bearer)
    const decided = decideCreds(ask, this.policy, caller.child)
    if ('refused' in decided) await this.authorizer.requireGrant(caller, 'aws_creds', decided)
    const keyed = key === undefined ? undefined : { key, ask: `aws_creds ${JSON.stringify(ask)}` }
    const done = await this.idempotent.run(caller, keyed, async (begun) => {
      const grant = await this.authorizer.requireGrant(caller, 'aws_creds', decided)
      return this.mint(caller, grant, begun)
    })
    // A retry may have waited for the first try, or come long after it.
    if (done.replayed) {
      const grant = await this.authorizer.requireGrantAgain(caller, 'aws_creds', decided)
      await this.authorizer.assertStillAllowed({ ...caller, mintId: done.minted.mintId }, grant)
    }
    return done
  }

  private async mint(caller: Identified, grant: CredsGrant, begun: () => void): Promise<MintedCreds> {
    const exchange = await withActiveKey(async () => {
      const exchange =
        this.sts.mode === 'web-identity' ? this.webIdentity(caller, grant) : this.assumeRole(caller, grant)
      await this.authorizer.announce(caller, grant, 'aws_creds', exchange.announced)
      return exchange
    })
    begun()
    // The announcement is durable at this line: STS may be asked.
    const credentials = await this.actOrRecordFailure(caller, grant, exchange)
    const entry = await this.recordOrDrop(caller, grant, credentials)
    const { roleArn } = grant
    const level = releaseLevel({ audience: STS_AUDIENCE, roleArn }, this.releases)
    const ledger = await this.ledger.release(entry, level)
    await this.authorizer.assertStillAllowed(caller, grant)
    // CredsMinted is durable at this line, and witnessed if it has to be: the caller may have them.
    const { mintId, wallet } = caller
    return { credentials, mintId, wallet, roleArn, expiresAt: credentials.expiresAt, ledger }
  }

  private webIdentity(caller: Caller, grant: CredsGrant): Exchange {
    const { roleArn, durationSeconds } = grant
    const ttlSeconds = this.policy.jwtTtlSeconds
    const jwtGrant = { audience: STS_AUDIENCE, ttlSeconds, roleArn }
    const token = this.signer.prepare(jwtClaims(caller, jwtGrant, this.policy))
    const { sub: subject, aud: audience } = token.claims
    const identity = {
      issuer: this.policy.issuer,
      subject,
      audience,
      ...this.askedSourceIdentity(caller.wallet),
    }
    const ask = { roleArn, durationSeconds, roleSessionName: roleSessionName(caller.mintId) }
    return {
      announced: jwtIssued(caller, token, 'sts', roleArn),
      act: () => this.sts.withWebIdentity({ ...ask, identity, jwt: this.signer.sign(token) }),
    }
  }

  private assumeRole({ mintId, wallet }: Caller, { roleArn, durationSeconds }: CredsGrant): Exchange {
    const ask = { roleArn, durationSeconds, roleSessionName: roleSessionName(mintId) }
    const identity = this.askedSourceIdentity(wallet)
    return {
      announced: { type: 'CredsRequested', data: { mintId, wallet, ...ask } },
      act: () => this.sts.assumeRole({ ...ask, ...walletTags(wallet), ...identity }),
    }
  }

  private askedSourceIdentity(wallet: string): { sourceIdentity?: string } {
    return this.policy.sourceIdentity ? { sourceIdentity: sourceIdentity(wallet) } : {}
  }

  private async actOrRecordFailure(
    caller: Caller,
    { roleArn }: CredsGrant,
    exchange: Exchange,
  ): Promise<AwsCredentials> {
    try {
      return await exchange.act()
    } catch (error) {
      const code = error instanceof StsError ? error.code : 'unexpected'
      const detail =
        error instanceof StsError ? error.message : 'the exchange failed inside the broker; see its log'
      await this.ledger.append([credsFailed(caller, roleArn, code, detail)])
      throw error
    }
  }

  /** A cut-off, or the end of the session, while STS was asked: what it gave is dropped here, and the entry says which key that was. */
  private async recordOrDrop(
    caller: Identified,
    grant: CredsGrant,
    credentials: AwsCredentials,
  ): Promise<Sealed> {
    try {
      const minted = credsMinted(caller, grant, credentials)
      const [entry] = await this.authorizer.record(caller, grant, [minted])
      return entry as Sealed
    } catch (error) {
      const code = isCutOff(error) ? 'cut-off' : 'session-not-valid'
      if (code !== 'cut-off' && !isOfSession(error)) throw error
      const detail = `${(error as Error).message}; STS gave ${credentials.accessKeyId}, which was handed to no caller`
      await this.ledger.append([credsFailed(caller, grant.roleArn, code, detail)])
      throw isCutOff(error) ? cutOff(error.message) : error
    }
  }
}

/** The session has ended, is another now, or could not be validated again. */
function isOfSession(error: unknown): boolean {
  return error instanceof SessionError || (error instanceof LedgerError && error.code === 'session-changed')
}

function credsFailed(
  { mintId, wallet }: Caller,
  roleArn: string,
  code: CredsFailureCode,
  detail: string,
): LedgerEvent {
  return { type: 'CredsMintFailed', data: { mintId, wallet, roleArn, code, detail } }
}

function credsMinted(
  { mintId, wallet }: Caller,
  { roleArn, durationSeconds }: CredsGrant,
  { accessKeyId, assumedRoleArn, expiresAt }: AwsCredentials,
): LedgerEvent {
  const name = roleSessionName(mintId)
  const data = {
    mintId,
    wallet,
    roleArn,
    roleSessionName: name,
    accessKeyId,
    assumedRoleArn,
    durationSeconds,
  }
  return { type: 'CredsMinted', data: { ...data, expiresAt: expiresAt.toISOString() } }
}
