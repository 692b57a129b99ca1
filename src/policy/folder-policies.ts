// The policy in force: loaded from its folder at a start, recorded in the ledger, and then decided by; loaded again when
// the operator says so. A folder that cannot be loaded changes nothing.

import type { Logger } from 'pino'

import type { LedgerEvent } from '../domain/ledger/events.js'
import { LocalClock } from '../domain/local-time.js'
import type { PolicyDecision } from '../domain/policy-decision.js'
import type { Cedar } from './cedar.js'
import { CedarEngine } from './cedar-engine.js'
import { cedarSet } from './cedar-set.js'
import { type Policies, type PolicyQuestion, type PolicyStatus } from './policies.js'
import { readPolicyFolder } from './policy-folder.js'

export interface PolicySource {
  folder: string
  timezone: string
}

/** Makes it durable that a policy decides from now on. Rejects where that is not so. */
export type RecordLoaded = (event: LedgerEvent) => Promise<unknown>

export class FolderPolicies implements Policies {
  private readonly engine: CedarEngine
  private readonly clock: LocalClock
  private readonly recorder: { node: string; record: RecordLoaded }
  private loading: Promise<void> = Promise.resolve()
  private stale: string | undefined

  private constructor(
    private readonly cedar: Cedar,
    private readonly source: PolicySource,
    recorder: { node: string; record: RecordLoaded },
    private readonly log: Logger,
  ) {
    this.engine = new CedarEngine(cedar, 'policy')
    this.clock = new LocalClock(source.timezone)
    this.recorder = recorder
  }

  /** Rejects with PolicyError where the folder cannot be loaded, or as `record` does: then there is no policy. */
  static async open(
    cedar: Cedar,
    source: PolicySource,
    recorder: { node: string; record: RecordLoaded },
    log: Logger,
  ): Promise<FolderPolicies> {
    const policies = new FolderPolicies(cedar, source, recorder, log)
    await policies.load()
    return policies
  }

  decide({ at, ...question }: PolicyQuestion): PolicyDecision {
    return this.engine.decide({ ...question, at, local: this.clock.at(at) })
  }

  probe(question: PolicyQuestion): PolicyDecision {
    return this.decide(question)
  }

  /** Resolves when it is done, however it ended: status() says. One at a time. */
  reload(): Promise<void> {
    this.loading = this.loading.then(async () => {
      try {
        await this.load()
        this.stale = undefined
      } catch (error) {
        this.stale = `the policy was not loaded at ${new Date().toISOString()}: the one before is in force; the log says why`
        this.log.error(`the policy was not loaded, the one before is in force: ${(error as Error).message}`)
      }
    })
    return this.loading
  }

  status(): PolicyStatus {
    return { sha256: this.engine.set?.sha256 ?? '', stale: this.stale, errors: this.engine.errors }
  }

  candidateStatus(): undefined {
    return undefined
  }

  private async load(): Promise<void> {
    const { folder, timezone } = this.source
    const read = readPolicyFolder(folder)
    const { sha256, ignored } = read
    if (sha256 === this.engine.set?.sha256)
      return this.log.info({ sha256 }, 'the policy is as it was: nothing to load')
    const set = cedarSet(this.cedar, read)
    const putInForce = this.engine.prepare(set)
    const policies = Object.keys(set.policies).length
    await this.recorder.record({
      type: 'PolicyLoaded',
      data: { node: this.recorder.node, policies, sha256, timezone },
    })
    // Durable at this line: no mint is decided by a policy that the ledger does not know.
    putInForce()
    this.log.info({ sha256, policies, timezone }, 'policy in force')
    for (const name of ignored) this.log.warn(`${name} in BROKER_POLICY is no .cedar file and is not read`)
    for (const warning of set.warnings) this.log.warn(`policy: ${warning}`)
  }
}
