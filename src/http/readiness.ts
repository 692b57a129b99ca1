import { Injectable } from '@nestjs/common'

import { Sts } from '../aws/sts.js'
import { Ledger } from '../ledger/ledger.js'
import { Policies } from '../policy/policies.js'
import { Projector } from '../projections/projector.js'
import { TokenSigner } from '../oidc/token-signer.js'
import { SessionBackend } from '../session/session-backend.js'

export interface ReadinessReport {
  ready: boolean
  backend_ok: boolean
  sts_ok: boolean
  ledger_ok: boolean
  signer_ok: boolean
  projections_ok: boolean
  /** Mints go on by the policy before. */
  policy_stale?: string
  /** One line for each part that is not ok. */
  problems?: string[]
}

type Part = Exclude<keyof ReadinessReport, 'ready' | 'problems' | 'policy_stale'>

/** Outside parties are asked at most this often, however often we are. */
const FRESH_MS = 1_000

/** Whether a mint would succeed now, part by part. */
@Injectable()
export class Readiness {
  /** `at` is when it ended: a check that is still running is shared, however long it takes. */
  private latest: { at: number; report: Promise<ReadinessReport> } | undefined

  constructor(
    private readonly sessions: SessionBackend,
    private readonly sts: Sts,
    private readonly ledger: Ledger,
    private readonly signer: TokenSigner,
    private readonly projector: Projector,
    private readonly policies: Policies,
  ) {}

  check(): Promise<ReadinessReport> {
    if (this.latest && performance.now() - this.latest.at <= FRESH_MS) return this.latest.report
    const latest = { at: Infinity, report: this.ask() }
    this.latest = latest
    const ended = () => (latest.at = performance.now())
    latest.report.then(ended, ended)
    return latest.report
  }

  private async ask(): Promise<ReadinessReport> {
    const [backend, sts, behind] = await Promise.all([
      this.sessions.healthy().then((ok) => (ok ? undefined : 'the session backend does not answer')),
      this.sts.checkIdentity().then(
        () => undefined,
        (error: unknown) => `STS: ${(error as Error).message}`,
      ),
      this.ledger.replicationLag(),
    ])
    const ledger = this.ledger.status()
    const projections = this.projector.status()
    const problems: Record<Part, string | undefined> = {
      backend_ok: backend,
      sts_ok: sts,
      ledger_ok: ledger.ok ? behind && `ledger: ${behind}` : `ledger: ${ledger.reason}`,
      signer_ok: this.signer.problem(),
      projections_ok: projections.ok ? undefined : `read models: ${projections.reason}`,
    }
    const found = Object.values(problems).filter((problem) => problem !== undefined)
    const parts = Object.fromEntries(
      Object.entries(problems).map(([part, problem]) => [part, problem === undefined]),
    )
    const stale = this.policies.status()?.stale
    const report = {
      ...{ ready: found.length === 0, ...(parts as Record<Part, boolean>) },
      ...(stale === undefined ? {} : { policy_stale: stale }),
    }
    return found.length === 0 ? report : { ...report, problems: found }
  }
}
