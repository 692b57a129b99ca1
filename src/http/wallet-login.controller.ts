import { Body, Controller, HttpCode, Post } from '@nestjs/common'

import { EmbeddedSessions } from '../session/embedded-sessions.js'
import { SessionError } from '../session/session-backend.js'
import { WalletLogin } from '../session/wallet-login.js'
import { SessionApiError } from './session-error-body.js'
import { StartLoginBody, VerifyLoginBody } from './account.dto.js'

/** A session for whose wallet signed a challenge: EIP-4361. */
@Controller('v1/auth/wallet')
export class WalletLoginController {
  constructor(
    private readonly sessions: EmbeddedSessions,
    private readonly login: WalletLogin,
  ) {}

  @Post('start')
  @HttpCode(200)
  start(@Body() { address, chain_id: chainId }: StartLoginBody) {
    const challenge = this.login.start(address, chainId)
    if (!challenge)
      throw new SessionApiError(
        'invalid-field',
        'address must be 0x and 40 hex digits, in lower case or as EIP-55 spells it',
      )
    const { requestId, message, nonce, expiresAt, lifetimeSeconds } = challenge
    return {
      request_id: requestId,
      expires_in_seconds: lifetimeSeconds,
      expires_at_iso: expiresAt.toISOString(),
      siwe_message: message,
      nonce,
    }
  }

  @Post('verify')
  @HttpCode(200)
  async verify(@Body() { request_id: requestId, signature }: VerifyLoginBody) {
    const wallet = this.login.verify(requestId, signature)
    // One answer for every reason: which of them it was helps only who guesses.
    if (!wallet)
      throw new SessionError(
        'unauthorized',
        'the challenge is unknown, used or expired, or the signature is not that of the wallet',
      )
    return this.sessions.createFor(wallet)
  }
}
