import { fieldsOf, matching, Optional, oneOf, Required, text } from './fields.js'
import { ScopeBody } from './session.dto.js'

const WALLET = matching(/^0x[0-9a-fA-F]{40}$/, '0x and 40 hex digits')
const SERVICE = matching(
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
  '1 to 64 letters, digits, dots, dashes and underscores',
)
const ADDRESS = matching(/^[^\s@]{1,64}@[A-Za-z0-9.-]{1,190}$/, 'a mail address')

export class StoreCredentialBody {
  @Required(WALLET)
  readonly agent_id!: string

  @Required(SERVICE)
  readonly service!: string

  /** Base64 of what the owner encrypted. */
  @Required(matching(/^[A-Za-z0-9+/]{4,12000}={0,2}$/, 'base64, at most 12000 characters'))
  readonly ciphertext!: string
}

export class AgentBody {
  @Required(WALLET)
  readonly agent_id!: string
}

export class SetScopeBody {
  @Required(WALLET)
  readonly target_wallet!: string

  @Required(fieldsOf(ScopeBody))
  readonly scope!: ScopeBody
}

export class LinkBody {
  @Required(oneOf(['alias', 'email']))
  readonly identity_type!: 'alias' | 'email'

  @Required(matching(/^[^\s\p{C}]{1,254}$/u, '1 to 254 characters without spaces'))
  readonly identity_value!: string

  @Required(WALLET)
  readonly wallet_address!: string
}

export class DeliverBody {
  @Required(ADDRESS)
  readonly address!: string

  @Required(text(1, 320))
  readonly from!: string

  @Optional(text(0, 998))
  readonly subject?: string

  @Optional(text(0, 12_000))
  readonly body?: string
}

export class StartLoginBody {
  @Required(text(1, 64))
  readonly address!: string

  @Required(chainId)
  readonly chain_id!: number
}

export class VerifyLoginBody {
  @Required(text(1, 64))
  readonly request_id!: string

  @Required(text(1, 200))
  readonly signature!: string
}

/** EIP-155. */
function chainId(value: unknown, name: string): string | undefined {
  return Number.isSafeInteger(value) && (value as number) > 0
    ? undefined
    : `${name} must be a positive integer`
}
