// Why provisioning failed, in the original's codes, with what to do: four lines for a person, one object for a program.

export type ProvisionErrorCode =
  | 'SERVICE_NOT_SUPPORTED'
  | 'BROKER_FETCH_FAILED'
  | 'PROVISION_IN_PROGRESS'
  | 'TRIPWIRE_SELECTOR_TIMEOUT'
  | 'TRIPWIRE_UNEXPECTED_NAV'
  | 'TRIPWIRE_HTTP_5XX'
  | 'EMAIL_TIMEOUT'
  | 'VERIFICATION_FAILED'
  | 'PROVISION_STORE_FAILED'
  | 'PROVISION_ERROR'

export interface Explanation {
  problem: string
  cause: string
  fix: string
}

const DOCS = 'docs/developer.md, "Provisioning"'

export class ProvisionError extends Error {
  constructor(
    readonly code: ProvisionErrorCode,
    readonly explanation: Explanation,
    options: ErrorOptions = {},
  ) {
    super(explanation.problem, options)
    this.name = 'ProvisionError'
  }

  /** Problem, cause, fix, docs: a line each. */
  get lines(): string {
    const { problem, cause, fix } = this.explanation
    return [`Problem: ${problem}`, `Cause: ${cause}`, `Fix: ${fix}`, `Docs: ${DOCS}`].join('\n')
  }
}
