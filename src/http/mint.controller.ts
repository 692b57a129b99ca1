import { Body, Controller, Header, HttpCode, Post, Res } from '@nestjs/common'
import { CommandBus } from '@nestjs/cqrs'

import type { FastifyReply } from 'fastify'

import { Sts } from '../aws/sts.js'
import { MintAwsCreds } from '../commands/mint-aws-creds.js'
import { MintOidcJwt } from '../commands/mint-oidc-jwt.js'
import type { LedgerReference } from '../ledger/ledger.js'
import { Bearer } from './bearer.js'
import { AskPipe } from './body.js'
import { MintAwsCredsBody, MintOidcJwtBody } from './mint.dto.js'

interface JwtReply {
  jwt: string
  wallet: string
  /** Unix seconds. */
  expiration: number
  jti: string
  ledger: LedgerReference
}

interface CredsReply {
  access_key_id: string
  secret_access_key: string
  session_token: string
  /** Unix seconds. */
  expiration: number
  wallet: string
  mint_id: string
  role_arn: string
  region: string
  ledger: LedgerReference
}

@Controller('v1')
export class MintController {
  constructor(
    private readonly commands: CommandBus,
    private readonly sts: Sts,
  ) {}

  @Post('mint-oidc-jwt')
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  async oidcJwt(
    @Bearer() bearer: string,
    @Body(AskPipe) body: MintOidcJwtBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<JwtReply> {
    const { audience, ttl_seconds: ttlSeconds, role } = body
    const minted = await this.commands.execute(new MintOidcJwt(bearer, { audience, ttlSeconds, role }))
    const { jwt, wallet, expiration, jti, ledger } = minted
    Object.assign(reply, { wallet, mintId: jti })
    return { jwt, wallet, expiration, jti, ledger }
  }

  @Post('mint-aws-creds')
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  async awsCreds(
    @Bearer() bearer: string,
    @Body(AskPipe) body: MintAwsCredsBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<CredsReply> {
    const { role, duration_seconds: durationSeconds } = body
    const minted = await this.commands.execute(new MintAwsCreds(bearer, { role, durationSeconds }))
    const { credentials, wallet, mintId, roleArn, ledger } = minted
    Object.assign(reply, { wallet, mintId })
    return {
      access_key_id: credentials.accessKeyId,
      secret_access_key: credentials.secretAccessKey,
      session_token: credentials.sessionToken,
      expiration: Math.floor(credentials.expiresAt.getTime() / 1000),
      wallet,
      mint_id: mintId,
      role_arn: roleArn,
      region: this.sts.region,
      ledger,
    }
  }
}
