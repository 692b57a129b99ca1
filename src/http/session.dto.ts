import { Type } from 'class-transformer'
import {
  ArrayMaxSize,
  IsArray,
  IsBoolean,
  IsDefined,
  IsObject,
  IsString,
  Matches,
  MaxLength,
  ValidateIf,
  ValidateNested,
} from 'class-validator'

/** A member that is there must be good: null is not a way of leaving it out. */
const IfPresent = () => ValidateIf((_body: object, value: unknown) => value !== undefined)

export class CreateSessionBody {
  /** Empty is well-formed: it is refused as a bad token (401), not as a bad request. */
  @IsString()
  @MaxLength(4096)
  readonly auth_token!: string
}

export class ScopeBody {
  @IsArray()
  @ArrayMaxSize(64)
  @Matches(/^[A-Za-z0-9._:-]{1,64}$/, { each: true })
  readonly services!: string[]

  @IsBoolean()
  readonly read_only!: boolean
}

export class ChildSessionBody {
  @IsDefined()
  @IsObject()
  @ValidateNested()
  @Type(() => ScopeBody)
  readonly scope!: ScopeBody
}

/** Exactly one of the two: the controller says so, since no decorator sees both. */
export class RevokeSessionBody {
  @IfPresent()
  @IsString()
  @MaxLength(4096)
  readonly target_session?: string

  @IfPresent()
  @Matches(/^0x[0-9a-fA-F]{40}$/, { message: 'target_wallet must be 0x and 40 hex digits' })
  readonly target_wallet?: string
}
