import { IsInt, IsString, MaxLength, Min, MinLength, ValidateIf } from 'class-validator'

/** Absent is fine, null is not: a default is never silently taken for a malformed value. */
const IfPresent = () => ValidateIf((_, value) => value !== undefined)

/** The optional body of POST /v1/mint-oidc-jwt. What it may hold is decided in domain/mint.ts. */
export class MintOidcJwtBody {
  @IfPresent()
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  audience?: string

  @IfPresent()
  @IsInt()
  @Min(1)
  ttl_seconds?: number

  @IfPresent()
  @IsString()
  @MinLength(1)
  @MaxLength(2048)
  role?: string
}

/** The optional body of POST /v1/mint-aws-creds. */
export class MintAwsCredsBody {
  @IfPresent()
  @IsString()
  @MinLength(1)
  @MaxLength(2048)
  role?: string

  @IfPresent()
  @IsInt()
  @Min(1)
  duration_seconds?: number
}
