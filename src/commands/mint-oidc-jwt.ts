import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs'

import type { Sealed } from '../domain/ledger/entry.js'
import { decideJwt, type JwtAsk, jwtClaims, jwtIssued, MintPolicy } from '../domain/mint.js'
import { releaseLevel, ReleasePolicy } from '../domain/release.js'
import { Ledger, type LedgerReference } from '../ledger/ledger.js'
import { TokenSigner } from '../oidc/token-signer.js'
import { MintAuthorizer } from './mint-authorizer.js'

export interface MintedJwt {
  jwt: string
  jti: string
  wallet: string
  /** Unix seconds. */
  expiration: number
  ledger: LedgerReference
}

export class MintOidcJwt extends Command<MintedJwt> {
  constructor(
    readonly bearer: string,
    readonly ask: JwtAsk,
  ) {
    super()
  }
}

/** Who is calling, may they, record it, sign it: no JWT exists that the ledger does not hold. */
@CommandHandler(MintOidcJwt)
export class MintOidcJwtHandler implements ICommandHandler<MintOidcJwt> {
  constructor(
    private readonly authorizer: MintAuthorizer,
    private readonly policy: MintPolicy,
    private readonly releases: ReleasePolicy,
    private readonly ledger: Ledger,
    private readonly signer: TokenSigner,
  ) {}

  async execute({ bearer, ask }: MintOidcJwt): Promise<MintedJwt> {
    const caller = await this.authorizer.identify(bearer)
    const grant = await this.authorizer.requireGrant(
      caller,
      'oidc_jwt',
      decideJwt(ask, this.policy, caller.child),
    )

    const token = this.signer.prepare(jwtClaims(caller, grant, this.policy))
    const issued = jwtIssued(caller, token, 'oidc_jwt', grant.roleArn)
    const entries = await this.authorizer.announce(caller, grant, 'oidc_jwt', issued)

    const ledger = await this.ledger.release(entries.at(-1) as Sealed, releaseLevel(grant, this.releases))

    this.authorizer.assertNotCutOff(caller, grant)
    // JwtIssued is durable at this line, witnessed if it has to be, and only now does the token come to exist.
    const jwt = this.signer.sign(token)
    const { mintId: jti, wallet } = caller
    return { jwt, jti, wallet, expiration: token.claims.exp, ledger }
  }
}
