import { Body, Controller, Header, HttpCode, Post, Res } from '@nestjs/common'
import { CommandBus } from '@nestjs/cqrs'

import type { FastifyReply } from 'fastify'

import { Sts } from '../aws/sts.js'
import { MintAwsCreds } from '../commands/mint-aws-creds.js'
import { MintOidcJwt } from '../commands/mint-oidc-jwt.js'
import type { LedgerReference } from '../ledger/ledger.js'
import { Bearer } from './bearer.js'
import { AskPipe } from './body.js'
import { IdempotencyKey, REPLAYED } from './idempotency-key.js'
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
    @IdempotencyKey() key: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<JwtReply> {
    const { audience, ttl_seconds: ttlSeconds, role } = body
    const ask = { audience, ttlSeconds, role }
    const { minted, replayed } = await this.commands.execute(new MintOidcJwt(bearer, ask, key))
    const { jwt, wallet, expiresAt, jti, ledger } = minted
    if (replayed) void reply.header(REPLAYED, 'true')
    Object.assign(reply, { wallet, mintId: jti })
    return { jwt, wallet, expiration: unixSeconds(expiresAt), jti, ledger }
  }

  @Post('mint-aws-creds')
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  async awsCreds(
    @Bearer() bearer: string,
    @Body(AskPipe) body: MintAwsCredsBody,
    @IdempotencyKey() key: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<CredsReply> {
    const { role, duration_seconds: durationSeconds } = body
    const ask = { role, durationSeconds }
    const { minted, replayed } = await this.commands.execute(new MintAwsCreds(bearer, ask, key))
    const { credentials, wallet, mintId, roleArn, expiresAt, ledger } = minted
    if (replayed) void reply.header(REPLAYED, 'true')
    Object.assign(reply, { wallet, mintId })
    return {
      access_key_id: credentials.accessKeyId,
      secret_access_key: credentials.secretAccessKey,
      session_token: credentials.sessionToken,
      expiration: unixSeconds(expiresAt),
      wallet,
      mint_id: mintId,
      role_arn: roleArn,
      region: this.sts.region,
      ledger,
    }
  }
}

function unixSeconds(at: Date): number {
  return Math.floor(at.getTime() / 1000)
}
