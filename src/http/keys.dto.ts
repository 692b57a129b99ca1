import { boolean, Optional, Required, text } from './fields.js'

const kid = text(1, 128)

/** The body of POST /v1/keys/rotate. */
export class RotateKeysBody {
  @Optional(boolean)
  readonly emergency?: boolean
}

/** The body of POST /v1/keys/retire. */
export class RetireKeyBody {
  @Required(kid)
  readonly kid!: string
}

/** The body of POST /v1/keys/revoke. */
export class RevokeKeyBody {
  @Required(kid)
  readonly kid!: string

  @Optional(text(1, 500))
  readonly reason?: string

  @Optional(boolean)
  readonly emergency?: boolean
}
