import type { MintKind } from '../domain/ledger/events.js'
import { integer, listOf, matching, Optional, Required, text } from './fields.js'

const KINDS = /^(?:oidc_jwt|aws_creds)$/

/** The body of POST /v1/grant/create. */
export class CreateGrantBody {
  @Required(matching(/^0x[0-9a-fA-F]{40}$/, '0x and 40 hex digits'))
  readonly wallet!: string

  @Optional(matching(/^[A-Za-z0-9._:@-]{1,128}$/, 'the name of an agent'))
  readonly agent?: string

  @Required(listOf(KINDS, 'oidc_jwt or aws_creds', 2))
  readonly actions!: MintKind[]

  @Required(listOf(/^[\x21-\x7e]{1,2048}$/, 'a role ARN or an audience', 64))
  readonly resources!: string[]

  /** Unix seconds. */
  @Required(integer(1))
  readonly expires_at!: number

  @Optional(integer(1))
  readonly max_uses?: number
}

/** The body of POST /v1/grant/revoke. */
export class RevokeGrantBody {
  @Required(matching(/^grn-[0-9a-f-]{36}$/, 'the id of a grant'))
  readonly grant_id!: string

  @Optional(text(1, 500))
  readonly reason?: string
}
