// What makes the broker an OpenID Connect issuer to AWS: OpenID Connect Discovery 1.0, and RFC 7517 keys.

import { hash } from 'node:crypto'

import { Controller, Get, Headers, Res } from '@nestjs/common'
import type { FastifyReply } from 'fastify'

import { MintPolicy, WALLET_TAG } from '../domain/mint.js'
import { type Jwks, KeysView } from '../projections/signing-keys.js'
import { jsonText } from './replies.js'

/** A document as it is sent. */
interface Prepared {
  bytes: Buffer
  etag: string
  cacheControl: string
}

/** How long others may keep the keys: a new key must be published this long before it signs. */
const JWKS_MAX_AGE_S = 300
const DISCOVERY_MAX_AGE_S = 3600

/** Answers from memory, whatever else is down. */
@Controller('.well-known')
export class WellKnownController {
  private readonly discovery: Prepared
  private jwks: { of: Jwks; prepared: Prepared } | undefined

  constructor(
    policy: MintPolicy,
    private readonly keys: KeysView,
  ) {
    this.discovery = prepare(discoveryOf(policy), `public, max-age=${DISCOVERY_MAX_AGE_S}`)
  }

  @Get('openid-configuration')
  async openidConfiguration(
    @Res() reply: FastifyReply,
    @Headers('if-none-match') known?: string,
  ): Promise<void> {
    await send(reply, this.discovery, known)
  }

  @Get('jwks.json')
  async jwksJson(@Res() reply: FastifyReply, @Headers('if-none-match') known?: string): Promise<void> {
    await send(reply, this.preparedJwks(), known)
  }

  private preparedJwks(): Prepared {
    const of = this.keys.jwks()
    if (this.jwks?.of !== of) {
      // Never let caches store an empty key set.
      const cacheControl = of.keys.length === 0 ? 'no-store' : `public, max-age=${JWKS_MAX_AGE_S}`
      this.jwks = { of, prepared: prepare(of, cacheControl) }
    }
    return this.jwks.prepared
  }
}

function discoveryOf({ issuer, sourceIdentity }: MintPolicy) {
  return {
    issuer,
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
    scopes_supported: ['openid'],
    token_endpoint_auth_methods_supported: ['none'],
    claims_supported: [
      ...['iss', 'sub', 'aud', 'iat', 'exp', 'jti', WALLET_TAG],
      ...['https://aws.amazon.com/tags', 'https://aws.amazon.com/roles'],
      ...(sourceIdentity ? ['https://aws.amazon.com/source_identity'] : []),
    ],
  }
}

function prepare(document: object, cacheControl: string): Prepared {
  const bytes = Buffer.from(jsonText(document))
  return { bytes, etag: `"${hash('sha256', bytes, 'hex').slice(0, 32)}"`, cacheControl }
}

async function send(
  reply: FastifyReply,
  { bytes, etag, cacheControl }: Prepared,
  known?: string,
): Promise<void> {
  void reply.header('ETag', etag).header('Cache-Control', cacheControl)
  if (known !== undefined && matches(known, etag)) await reply.status(304).send()
  else await reply.header('Content-Type', 'application/json').send(bytes)
}

/** If-None-Match, RFC 9110 section 13.1.2: any of a list, compared weakly. */
function matches(known: string, etag: string): boolean {
  return known.split(',').some((one) => ['*', etag].includes(one.trim().replace(/^W\//, '')))
}
