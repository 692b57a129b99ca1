import type { CredsFailureCode, RefusalReason } from './ledger/events.js'

/** Every way a request can end without a credential. http/error-body.ts gives each its status. */
export type ErrorKind =
  | 'bad_request'
  | 'unauthorized'
  | 'forbidden'
  | 'approval_required'
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

/**
 * The closed set of reasons, each of one kind: what a program may decide by where the kind is too coarse. Reasons of the
 * ledger (RefusalReason, CredsFailureCode) have their names there. A name is never given another meaning.
 */
export const KIND_OF_REASON = {
  'malformed-request': 'bad_request',
  'ambiguous-request': 'bad_request',
  'query-not-allowed': 'bad_request',
  'headers-too-large': 'bad_request',
  'request-too-slow': 'bad_request',
  'body-too-large': 'bad_request',
  'body-unsupported': 'bad_request',
  'body-malformed': 'bad_request',
  'body-too-deep': 'bad_request',
  'duplicate-member': 'bad_request',
  'unknown-field': 'bad_request',
  'invalid-field': 'bad_request',
  'entry-too-large': 'bad_request',
  'invalid-idempotency-key': 'bad_request',
  'idempotency-key-reused': 'bad_request',
  'too-many-cut-offs': 'bad_request',
  'too-many-grants': 'bad_request',
  'key-not-ready': 'bad_request',
  'missing-authorization': 'unauthorized',
  'malformed-authorization': 'unauthorized',
  'session-not-valid': 'unauthorized',
  'not-the-operator': 'unauthorized',
  'not-an-approver': 'unauthorized',
  'role-not-allowed': 'forbidden',
  'audience-not-allowed': 'forbidden',
  'ttl-out-of-bounds': 'forbidden',
  'duration-out-of-bounds': 'forbidden',
  'service-not-in-scope': 'forbidden',
  'read-only-session': 'forbidden',
  'cut-off': 'forbidden',
  'no-grant': 'forbidden',
  'policy-denied': 'forbidden',
  'policy-error': 'forbidden',
  'approval-required': 'approval_required',
  'approval-denied': 'forbidden',
  'too-many-approvals': 'forbidden',
  'other-wallet': 'forbidden',
  'auditor-only': 'forbidden',
  'no-such-path': 'not_found',
  'no-such-entry': 'not_found',
  'no-such-mint': 'not_found',
  'no-such-grant': 'not_found',
  'no-such-approval': 'not_found',
  'no-such-key': 'not_found',
  'no-such-tile': 'not_found',
  'not-cut-off': 'not_found',
  'method-not-allowed': 'method_not_allowed',
  'rate-limited': 'too_many_requests',
  'too-many-under-way': 'overloaded',
  'backend-queue-full': 'overloaded',
  'sts-queue-full': 'overloaded',
  'backend-unreachable': 'backend_unreachable',
  'access-denied': 'sts_error',
  'broker-credentials-refused': 'sts_error',
  'invalid-identity-token': 'sts_error',
  'key-retrieval-failed': 'sts_error',
  'expired-token': 'sts_error',
  'idp-rejected-claim': 'sts_error',
  'idp-communication-error': 'sts_error',
  'packed-policy-too-large': 'sts_error',
  'malformed-policy': 'sts_error',
  'region-disabled': 'sts_error',
  throttled: 'sts_error',
  'validation-error': 'sts_error',
  timeout: 'sts_error',
  unreachable: 'sts_error',
  'empty-response': 'sts_error',
  'credentials-unusable': 'sts_error',
  unexpected: 'sts_error',
  'aws-not-configured': 'aws_not_configured',
  'ledger-unavailable': 'ledger_unavailable',
  'signing-key-changed': 'ledger_unavailable',
  'ledger-failed': 'audit_error',
  'broker-failed': 'internal',
} as const satisfies Record<RefusalReason | CredsFailureCode, ErrorKind> & Record<string, ErrorKind>

export type ErrorReason = keyof typeof KIND_OF_REASON

/** The error that a caller gets. The message never holds a secret, and `cause` never reaches the caller. */
export class BrokerError extends Error {
  readonly kind: ErrorKind
  /** Where the reason alone does not say when to come back. */
  readonly retryAfterSeconds: number | undefined
  /** More members of the reply, for programs. */
  readonly members: Readonly<Record<string, string>>

  constructor(
    readonly reason: ErrorReason,
    message: string,
    options?: ErrorOptions & { retryAfterSeconds?: number; members?: Readonly<Record<string, string>> },
  ) {
    super(message, options)
    this.name = 'BrokerError'
    this.retryAfterSeconds = options?.retryAfterSeconds
    this.members = options?.members ?? {}
    this.kind = KIND_OF_REASON[reason]
  }
}
