/** Every way a request can end without a credential. http/error.filter.ts gives each its status. */
export type ErrorKind =
  | 'bad_request'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'method_not_allowed'
  | 'too_many_requests'
  | 'overloaded'
  | 'backend_unreachable'
  | 'sts_error'
  | 'aws_not_configured'
  | 'ledger_unavailable'
  | 'audit_error'
  | 'internal'

/** What the caller is told. The message never holds a secret, and `cause` never reaches the caller. */
export class BrokerError extends Error {
  constructor(
    readonly kind: ErrorKind,
    message: string,
    options?: ErrorOptions & { retryAfterSeconds?: number },
  ) {
    super(message, options)
    this.name = 'BrokerError'
    this.retryAfterSeconds = options?.retryAfterSeconds
  }

  readonly retryAfterSeconds: number | undefined
}
