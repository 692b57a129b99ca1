import type { MintKind } from '../domain/ledger/events.js'
import type { MintOutcome } from '../projections/mints.js'
import { matching, oneOf, Optional } from './fields.js'

export const KINDS: readonly MintKind[] = ['oidc_jwt', 'aws_creds']
export const OUTCOMES: readonly MintOutcome[] = ['ok', 'refused', 'sts_error', 'pending']
const TIME = matching(
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z$/,
  'RFC 3339 in UTC, as in 2026-11-20T12:00:00Z',
)

/** The query of GET /v1/audit/mints. Every value is text here; a field given twice is a list, and refused. */
export class AuditMintsQuery {
  @Optional(matching(/^0x[0-9a-fA-F]{40}$/, '0x and 40 hex digits'))
  wallet?: string

  @Optional(oneOf(KINDS))
  kind?: MintKind

  @Optional(oneOf(OUTCOMES))
  outcome?: MintOutcome

  @Optional(matching(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'a lower-case UUID'))
  jti?: string

  @Optional(matching(/^\w{16,128}$/, '16 to 128 letters, digits or _'))
  access_key_id?: string

  @Optional(TIME)
  since?: string

  @Optional(TIME)
  until?: string

  @Optional(matching(/^(?:[1-9]\d{0,2}|1000)$/, '1 to 1000'))
  limit?: string

  @Optional(matching(/^[\w-]{1,64}$/, 'a next_cursor of this API'))
  cursor?: string
}
