// Decides by one set at a time. A set is made ready beside the one in force, and then takes its place in one assignment.

import type { AuthorizationAnswer } from '@cedar-policy/cedar-wasm/nodejs'

import type { PolicyDecision } from '../domain/policy-decision.js'
import type { PolicyRequest } from '../domain/policy-request.js'
import type { Cedar } from './cedar.js'
import { type CedarRequest, cedarRequest } from './cedar-request.js'
import type { CedarSet } from './cedar-set.js'
import { PolicyError } from './policy-folder.js'

/** A set that the library holds in parsed form, under a name. */
interface ReadySet {
  name: string
  set: CedarSet
}

/** `purpose` keeps engines apart: the library's names are the process's. */
export class CedarEngine {
  private inForce: ReadySet | undefined
  /** Decisions that could not be evaluated. */
  errors = 0

  constructor(
    private readonly cedar: Cedar,
    private readonly purpose: 'policy' | 'candidate' | 'check',
  ) {}

  get set(): CedarSet | undefined {
    return this.inForce?.set
  }

  /** Call what it returns to put the set in force. Throws PolicyError. */
  prepare(set: CedarSet): () => void {
    // Two names in turn: what the library holds under a name it never frees, but it replaces it.
    const name = `${this.purpose}-${this.inForce?.name.endsWith('-1') ? 2 : 1}`
    const answer = this.cedar.preparsePolicySet(name, { staticPolicies: { ...set.policies } })
    if (answer.type === 'failure') throw new PolicyError(answer.errors[0]?.message ?? 'it cannot be read')
    return () => {
      this.inForce = { name, set }
    }
  }

  decide(request: PolicyRequest): PolicyDecision {
    const ready = this.inForce
    if (!ready) throw new Error('no policy set is in force')
    const { policies, verdict } = this.evaluated(ready.name, cedarRequest(request))
    if (verdict === 'error') this.errors += 1
    const { sha256: policySha256, reasons } = ready.set
    const said = policies.map((id) => reasons.get(id)).filter((reason) => reason !== undefined)
    return { verdict, policies, policySha256, reasons: verdict === 'deny' ? said : [] }
  }

  /** Cedar skips a policy that fails, be it a forbid. Here it is a denial, as is all that is not a clean answer. */
  private evaluated(name: string, request: CedarRequest): Pick<PolicyDecision, 'policies' | 'verdict'> {
    const answer = this.asked(name, request)
    if (answer?.type !== 'success') return { verdict: 'error', policies: [] }
    const { decision, diagnostics } = answer.response
    const failed = diagnostics.errors.map(({ policyId }) => policyId)
    if (failed.length > 0) return { verdict: 'error', policies: failed.sort() }
    return { verdict: decision === 'allow' ? 'allow' : 'deny', policies: [...diagnostics.reason].sort() }
  }

  private asked(name: string, request: CedarRequest): AuthorizationAnswer | undefined {
    try {
      return this.cedar.statefulIsAuthorized({ ...request, preparsedPolicySetId: name, entities: [] })
    } catch {
      // What WebAssembly throws may quote the request.
      return undefined
    }
  }
}
