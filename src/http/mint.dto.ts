import { ApiPropertyOptional } from '@nestjs/swagger'
import { IsInt, IsString, MaxLength, Min, MinLength, ValidateIf } from 'class-validator'

/** Absent is fine, null is not: a default is never silently taken for a malformed value. */
const IfPresent = () => ValidateIf((_, value) => value !== undefined)

/** The optional body of POST /v1/mint-oidc-jwt. What it may hold is decided in domain/mint.ts. */
export class MintOidcJwtBody {
  @ApiPropertyOptional({ description: 'sts.amazonaws.com, or one of BROKER_ALLOWED_AUDIENCES' })
  @IfPresent()
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  audience?: string

  @ApiPropertyOptional({ description: 'lifetime in seconds, 60 to BROKER_OIDC_JWT_TTL_SECONDS' })
  @IfPresent()
  @IsInt()
  @Min(1)
  ttl_seconds?: number

  @ApiPropertyOptional({
    description: 'the role the token may be used for: the data role or one of BROKER_ALLOWED_ROLE_ARNS',
  })
  @IfPresent()
  @IsString()
  @MinLength(1)
  @MaxLength(2048)
  role?: string
}

/** The optional body of POST /v1/mint-aws-creds. */
export class MintAwsCredsBody {
  @ApiPropertyOptional({ description: 'the data role or one of BROKER_ALLOWED_ROLE_ARNS' })
  @IfPresent()
  @IsString()
  @MinLength(1)
  @MaxLength(2048)
  role?: string

  @ApiPropertyOptional({ description: 'session length in seconds, 900 to BROKER_SESSION_DURATION_SECONDS' })
  @IfPresent()
  @IsInt()
  @Min(1)
  duration_seconds?: number
}
