// What can go wrong between a client and the broker, as one closed set. Each error says what to do next.

/** The broker's own error kinds (docs/developer.md, "When it says no"), and what happens before a broker answers. */
export type ClientErrorCode =
  | 'bad_request'
  | 'unauthorized'
  | 'forbidden'
  | 'approval_required'
  | 'too_many_requests'
  | 'backend_unreachable'
  | 'sts_error'
  | 'aws_not_configured'
  | 'ledger_unavailable'
  | 'audit_error'
  | 'internal'
  | 'unreachable'
  | 'timeout'
  | 'malformed_reply'
  | 'receipt_invalid'
  | 'ledger_key_changed'
  | 'invalid_url'

const REMEDY = {
  bad_request: 'correct the request; the message names the field',
  unauthorized: 'get a new session: agentkeys init',
  forbidden: 'ask for less, or ask the operator; repeating does not help',
  approval_required: 'wait until it is approved, then repeat; the reply says where to ask',
  too_many_requests: 'wait, then repeat',
  backend_unreachable: 'repeat later; if it stays so, tell the operator: the session backend does not answer',
  sts_error: 'tell the operator: AWS STS gave no credentials',
  aws_not_configured: 'tell the operator: this broker has no AWS role; tokens work',
  ledger_unavailable: 'repeat later: the ledger did not confirm, so nothing was handed out',
  audit_error: 'tell the operator: the ledger refuses entries',
  internal: "tell the operator: the broker's log has the cause",
  unreachable: 'check the broker URL, the network and that the broker runs',
  timeout: 'repeat later; the broker or the network is slow',
  malformed_reply: 'check that the URL is that of an AgentKeys broker, and no proxy answers in its place',
  receipt_invalid: 'do not use what was minted; keep the receipt and tell an auditor',
  ledger_key_changed: 'ask the operator for the ledger key by another way before you trust the new one',
  invalid_url: 'give the broker as https://HOST, or as http:// on a loopback address',
} satisfies Record<ClientErrorCode, string>

const BROKER_KINDS: ReadonlySet<string> = new Set<ClientErrorCode>([
  'bad_request',
  'unauthorized',
  'forbidden',
  'approval_required',
  'too_many_requests',
  'backend_unreachable',
  'sts_error',
  'aws_not_configured',
  'ledger_unavailable',
  'audit_error',
  'internal',
])

export interface ClientErrorDetail extends ErrorOptions {
  /** HTTP status of the broker's reply, where there was one. */
  status?: number | undefined
  /** Machine-readable reason of a refusal, e.g. `role-not-allowed`. */
  reason?: string | undefined
  /** The broker's X-Request-Id: its log has the same. */
  requestId?: string | undefined
  /** From Retry-After, in seconds. */
  retryAfterSeconds?: number | undefined
}

/** Holds no bearer, token or key: it may be shown and logged. */
export class ClientError extends Error {
  readonly remedy: string
  readonly status: number | undefined
  readonly reason: string | undefined
  readonly requestId: string | undefined
  readonly retryAfterSeconds: number | undefined

  constructor(
    readonly code: ClientErrorCode,
    message: string,
    { status, reason, requestId, retryAfterSeconds, ...options }: ClientErrorDetail = {},
  ) {
    super(message, options)
    this.name = 'ClientError'
    this.remedy = REMEDY[code]
    this.status = status
    this.reason = reason
    this.requestId = requestId
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/** The code of a broker's error kind; undefined for a kind that this client does not know. */
export function brokerErrorCode(kind: unknown): ClientErrorCode | undefined {
  return typeof kind === 'string' && BROKER_KINDS.has(kind) ? (kind as ClientErrorCode) : undefined
}
