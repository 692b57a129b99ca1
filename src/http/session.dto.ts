import { MOST_SERVICES, SERVICE } from '../domain/ledger/child-session.js'
import { boolean, fieldsOf, listOf, matching, Optional, Required, text } from './fields.js'

export class CreateSessionBody {
  /** Empty is well-formed: it is refused as a bad token (401), not as a bad request. */
  @Required(text(0, 4096))
  readonly auth_token!: string
}

export class ScopeBody {
  @Required(listOf(SERVICE, '1 to 64 letters, digits and . _ : -', MOST_SERVICES))
  readonly services!: string[]

  @Required(boolean)
  readonly read_only!: boolean
}

export class ChildSessionBody {
  @Required(fieldsOf(ScopeBody))
  readonly scope!: ScopeBody
}

/** Exactly one of the two: the controller says so, since no field sees both. */
export class RevokeSessionBody {
  @Optional(text(0, 4096))
  readonly target_session?: string

  @Optional(matching(/^0x[0-9a-fA-F]{40}$/, '0x and 40 hex digits'))
  readonly target_wallet?: string
}
