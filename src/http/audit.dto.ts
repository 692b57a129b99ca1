import { IsIn, Matches, ValidateIf } from 'class-validator'

import type { MintKind } from '../domain/ledger/events.js'
import type { MintOutcome } from '../projections/mints.js'

/** Absent is fine, empty is not: a filter that was meant and got lost would show too much. */
const IfPresent = () => ValidateIf((_, value) => value !== undefined)

export const KINDS: readonly MintKind[] = ['oidc_jwt', 'aws_creds']
export const OUTCOMES: readonly MintOutcome[] = ['ok', 'refused', 'sts_error', 'pending']
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z$/

/** The query of GET /v1/audit/mints. Every value is text here; a field given twice is a list, and refused. */
export class AuditMintsQuery {
  @IfPresent()
  @Matches(/^0x[0-9a-fA-F]{40}$/, { message: 'wallet must be 0x and 40 hex digits' })
  wallet?: string

  @IfPresent()
  @IsIn(KINDS, { message: `kind must be one of ${KINDS.join(', ')}` })
  kind?: MintKind

  @IfPresent()
  @IsIn(OUTCOMES, { message: `outcome must be one of ${OUTCOMES.join(', ')}` })
  outcome?: MintOutcome

  @IfPresent()
  @Matches(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, { message: 'jti must be a lower-case UUID' })
  jti?: string

  @IfPresent()
  @Matches(/^\w{16,128}$/, { message: 'access_key_id must be 16 to 128 letters, digits or _' })
  access_key_id?: string

  @IfPresent()
  @Matches(TIME, { message: 'since must be RFC 3339 in UTC, as in 2026-11-20T12:00:00Z' })
  since?: string

  @IfPresent()
  @Matches(TIME, { message: 'until must be RFC 3339 in UTC, as in 2026-11-20T12:00:00Z' })
  until?: string

  @IfPresent()
  @Matches(/^(?:[1-9]\d{0,2}|1000)$/, { message: 'limit must be 1 to 1000' })
  limit?: string

  @IfPresent()
  @Matches(/^[\w-]{1,64}$/, { message: 'cursor must be a next_cursor of this API' })
  cursor?: string
}
