/**
 * unavailable     the events are not in the ledger; the caller may retry.
 * in-doubt        the outcome is not known yet: the events may be in the ledger, or come to be.
 * failed          the store refuses, or the ledger is no longer the one this broker knows; an operator must look.
 * too-large       the events cannot be an entry. Nothing was written.
 * keys-changed    the events about signing keys no longer fit those of the ledger: decide again. Nothing was written.
 * key-not-active  a token under a key that another broker has replaced. Nothing was written.
 * cut-off         the operator has cut off whom the events are for. Nothing was written.
 * grant-changed   the grant can no longer be used, or created so. Nothing was written.
 * grants-full     the wallet has as many grants as it may. Nothing was written.
 * approval-changed  the approval can no longer be requested, decided or used so. Nothing was written.
 * approvals-full  as many requests are open as may be. Nothing was written.
 * session-changed the session has to be validated again. Nothing was written.
 */
export type LedgerErrorCode =
  | 'unavailable'
  | 'in-doubt'
  | 'failed'
  | 'too-large'
  | 'keys-changed'
  | 'key-not-active'
  | 'cut-off'
  | 'grant-changed'
  | 'grants-full'
  | 'approval-changed'
  | 'approvals-full'
  | 'session-changed'

/** The events were not confirmed: nothing they announce may happen or leave. */
export class LedgerError extends Error {
  constructor(
    readonly code: LedgerErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.name = 'LedgerError'
  }
}
