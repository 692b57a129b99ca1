// What an error of the EventStoreDB client says about the ledger. docs/eventstoredb.md, "Outcomes".

import {
  AccessDeniedError,
  InvalidArgumentError,
  MaxAppendSizeExceededError,
  NotLeaderError,
  StreamDeletedError,
  UnsupportedError,
  WrongExpectedVersionError,
} from '@eventstore/db-client'

import { StoreError } from '../event-store.js'

/** A TLS mistake looks like a node that is down, but no retry repairs it. */
const WRONG_CERTIFICATE = /certificate|altnames/i
const NO_TLS = /wrong version number|SSL routines/i

/** What brings hidden entries back. A scavenge removes them for good, a tombstone the whole stream. */
export const UNHIDE =
  "an administrator takes $tb, $maxCount and $maxAge out of the stream's metadata before any scavenge " +
  '(what one removed is in backups alone); then run verify-ledger'

export const TOMBSTONED =
  'the ledger stream was deleted for good (tombstoned): stop all brokers, restore the nodes from a backup, run verify-ledger'

/** For a ledger that is shorter than it was, or holds other entries. */
export const PUT_BACK =
  'stop all brokers, run verify-ledger with the newest last-checkpoint of any broker, and restore the nodes from a backup that verifies'

/**
 * The request was turned away before anything was tried: the server says so (too busy, still starting, no leader
 * elected), or gRPC never had a connection to send it on.
 */
const NOT_TRIED =
  /Server Is (?:Too )?Busy|Server Is Not Ready|No leader info|Failed to discover|No connection established|Name resolution failed|Channel closed before call started|Channel has been shut down/

/**
 * A failed append. Only a failure that is known to have written nothing is reported as such. Everything else, codes never seen before
 * included, may be written or be written yet: deadlines, cut connections, a server that timed out waiting for its
 * followers (of plain appends that ended in DEADLINE_EXCEEDED most had been written).
 */
export function appendFailure(error: unknown, expectedSize: number): StoreError {
  if (error instanceof WrongExpectedVersionError) {
    const size = typeof error.actualVersion === 'bigint' ? error.actualVersion + 1n : 0
    return new StoreError('conflict', `the ledger has ${size} entries, not ${expectedSize}`, { cause: error })
  }
  const final = refusal(error)
  if (final) return final
  const code = error instanceof NotLeaderError || NOT_TRIED.test(messageOf(error)) ? 'unavailable' : 'unknown'
  return new StoreError(code, `the append was not confirmed: ${describe(error)}`, { cause: error })
}

/** A failed read or subscription: asking again costs nothing, except where the answer will stay no. */
export function readFailure(error: unknown): StoreError {
  return (
    refusal(error) ??
    new StoreError('unavailable', `the ledger cannot be read now: ${describe(error)}`, { cause: error })
  )
}

/** Whether a refusal is about what the stream holds, and not about who may look: what is hidden stays a reason to stop. */
export function isDamage(error: unknown): error is StoreError {
  if (!(error instanceof StoreError) || error.code !== 'refused') return false
  return error.cause === undefined || error.cause instanceof StreamDeletedError
}

/**
 * Whether the user lacks a right. A wrong password and a bad certificate are not meant: they stop appends as well, while
 * a user who may append and not read would go on blindly.
 */
export function isDenied(error: unknown): boolean {
  return (
    error instanceof StoreError &&
    error.code === 'refused' &&
    error.cause instanceof AccessDeniedError &&
    !isUnauthenticated(error.cause)
  )
}

function refusal(error: unknown): StoreError | undefined {
  if (error instanceof StoreError) return error
  const why = reasonForGood(error)
  return why === undefined ? undefined : new StoreError('refused', why, { cause: error })
}

const UNAUTHENTICATED = 16

const isUnauthenticated = ({ code }: AccessDeniedError): boolean =>
  (code as number | undefined) === UNAUTHENTICATED

const WRONG_PASSWORD =
  'EventStoreDB does not know this user and password: correct the connection string (a broker reads it from ' +
  'BROKER_LEDGER_URL, init-eventstore from BROKER_LEDGER_ADMIN_URL)'

const TOO_FEW_RIGHTS =
  "EventStoreDB denies access: the user's rights to the ledger stream and its metadata do not suffice: " +
  "an administrator runs agentkeys-broker init-eventstore, and takes any $acl out of the stream's own metadata"

const TOO_LARGE =
  'EventStoreDB allows less than one append needs: give its MAX_APPEND_SIZE the default again, 1 MiB'

function reasonForGood(error: unknown): string | undefined {
  if (error instanceof AccessDeniedError) {
    return isUnauthenticated(error) ? WRONG_PASSWORD : TOO_FEW_RIGHTS
  }
  if (error instanceof StreamDeletedError) return TOMBSTONED
  if (error instanceof MaxAppendSizeExceededError) return TOO_LARGE
  if (error instanceof InvalidArgumentError || error instanceof UnsupportedError) return describe(error)
  return tlsMistake(messageOf(error))
}

function tlsMistake(message: string): string | undefined {
  const fails = `TLS to EventStoreDB fails: ${message}`
  if (WRONG_CERTIFICATE.test(message)) return `${fails} (tlsCAFile in the connection string names the CA)`
  if (NO_TLS.test(message))
    return `${fails} (does that node speak TLS? Give it a certificate; tls=false is for trying things out)`
  return undefined
}

function describe(error: unknown): string {
  const name = error instanceof Error ? error.constructor.name : typeof error
  return `${name} ${messageOf(error)}`.trim()
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
