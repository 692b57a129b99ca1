import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs'

import type { Sealed } from '../domain/ledger/entry.js'
import { decideJwt, type JwtAsk, jwtClaims, type JwtGrant, jwtIssued, MintPolicy } from '../domain/mint.js'
import { releaseLevel, ReleasePolicy } from '../domain/release.js'
import { Ledger, type LedgerReference } from '../ledger/ledger.js'
import { TokenSigner } from '../oidc/token-signer.js'
import { IdempotentMints, type Replayable } from './idempotent-mints.js'
import { type Identified, MintAuthorizer } from './mint-authorizer.js'
import { withActiveKey } from './with-active-key.js'

export interface MintedJwt {
  jwt: string
  jti: string
  wallet: string
  expiresAt: Date
  ledger: LedgerReference
}

export class MintOidcJwt extends Command<Replayable<MintedJwt>> {
  constructor(
    readonly bearer: string,
    readonly ask: JwtAsk,
    /** Of the retry, if it is one. */
    readonly idempotencyKey?: string,
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
    private readonly idempotent: IdempotentMints,
  ) {}

  async execute({ bearer, ask, idempotencyKey: key }: MintOidcJwt): Promise<Replayable<MintedJwt>> {
    const caller = await this.authorizer.identify(bearer)
    const decided = decideJwt(ask, this.policy, caller.child)
    if ('refused' in decided) await this.authorizer.requireGrant(caller, 'oidc_jwt', decided)
    const keyed = key === undefined ? undefined : { key, ask: `oidc_jwt ${JSON.stringify(ask)}` }
    const done = await this.idempotent.run(caller, keyed, async (begun) => {
      const grant = await this.authorizer.requireGrant(caller, 'oidc_jwt', decided)
      return this.mint(caller, grant, begun)
    })
    // A retry may have waited for the first try, or come long after it.
    if (done.replayed) {
      const grant = await this.authorizer.requireGrantAgain(caller, 'oidc_jwt', decided)
      await this.authorizer.assertStillAllowed({ ...caller, mintId: done.minted.jti }, grant)
    }
    return done
  }

  private async mint(caller: Identified, grant: JwtGrant, begun: () => void): Promise<MintedJwt> {
    const { token, entries } = await withActiveKey(async () => {
      const token = this.signer.prepare(jwtClaims(caller, grant, this.policy))
      const issued = jwtIssued(caller, token, 'oidc_jwt', grant.roleArn)
      return { token, entries: await this.authorizer.announce(caller, grant, 'oidc_jwt', issued) }
    })
    begun()

    const ledger = await this.ledger.release(entries.at(-1) as Sealed, releaseLevel(grant, this.releases))

    await this.authorizer.assertStillAllowed(caller, grant)
    // JwtIssued is durable at this line, witnessed if it has to be, and only now does the token come to exist.
    const jwt = this.signer.sign(token)
    const { mintId: jti, wallet } = caller
    return { jwt, jti, wallet, expiresAt: new Date(token.claims.exp * 1000), ledger }
  }
}
