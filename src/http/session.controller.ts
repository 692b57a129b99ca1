import { Body, Controller, Get, Header, HttpCode, Post } from '@nestjs/common'

import { parseWallet } from '../domain/wallet.js'
import { EmbeddedSessions } from '../session/embedded-sessions.js'
import { SessionError } from '../session/session-backend.js'
import type { IssuedSession, RevokeTarget } from '../session/session-store.js'
import { SessionBearer } from './session-bearer.js'
import { SessionApiError } from './session-error-body.js'
import { ChildSessionBody, CreateSessionBody, RevokeSessionBody } from './session.dto.js'

/** What a broker with BROKER_BACKEND_URL reads: session/http-backend.ts. */
interface ValidSession {
  wallet: string
  /** Of a child session, with `parents`, nearest first. */
  scope?: { services: readonly string[]; read_only: boolean }
  parents?: { wallet: string; session_sha256: string }[]
}

/** The embedded session backend's routes, on an address of their own: session-listener.ts. */
@Controller()
export class SessionController {
  constructor(private readonly sessions: EmbeddedSessions) {}

  @Post('session/create')
  @HttpCode(200)
  create(@Body() body: CreateSessionBody): Promise<IssuedSession> {
    return this.sessions.create(body.auth_token)
  }

  @Get('session/validate')
  async validate(@SessionBearer() bearer: string): Promise<ValidSession> {
    const { wallet, child } = await this.sessions.validate(bearer)
    if (!child) return { wallet }
    const { services, readOnly, parents } = child
    return {
      wallet,
      scope: { services, read_only: readOnly },
      parents: parents.map(({ wallet, tokenSha256 }) => ({ wallet, session_sha256: tokenSha256 })),
    }
  }

  @Post('session/child')
  @HttpCode(200)
  child(@Body() body: ChildSessionBody, @SessionBearer() bearer: string): Promise<IssuedSession> {
    const { services, read_only: readOnly } = body.scope
    return this.sessions.child(bearer, { services, readOnly })
  }

  @Post('session/revoke')
  @HttpCode(200)
  async revoke(@Body() body: RevokeSessionBody, @SessionBearer() bearer: string) {
    const target = revokeTarget(body)
    const revoked = await this.sessions.revoke(bearer, target)
    return 'session' in target ? { ok: true } : { ok: true, sessions_revoked: revoked }
  }

  @Get(['healthz', 'health'])
  @Header('content-type', 'text/plain; charset=utf-8')
  async health(): Promise<string> {
    if (await this.sessions.healthy()) return 'ok'
    throw new SessionError('backend-unreachable', 'the session store does not answer')
  }
}

function revokeTarget({ target_session: session, target_wallet }: RevokeSessionBody): RevokeTarget {
  const wallet = parseWallet(target_wallet)
  if (session !== undefined && target_wallet === undefined) return { session }
  if (wallet && session === undefined) return { wallet }
  throw new SessionApiError('invalid-field', 'exactly one of target_session and target_wallet must be given')
}
