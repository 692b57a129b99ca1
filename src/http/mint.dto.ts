import { integer, Optional, text } from './fields.js'

/** The optional body of POST /v1/mint-oidc-jwt. What it may hold is decided in domain/mint.ts. */
export class MintOidcJwtBody {
  @Optional(text(1, 255))
  audience?: string

  @Optional(integer(1))
  ttl_seconds?: number

  @Optional(text(1, 2048))
  role?: string
}

/** The optional body of POST /v1/mint-aws-creds. */
export class MintAwsCredsBody {
  @Optional(text(1, 2048))
  role?: string

  @Optional(integer(1))
  duration_seconds?: number
}
