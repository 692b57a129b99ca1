import { Controller, Get, Query } from '@nestjs/common'

import { EmbeddedSessions } from '../session/embedded-sessions.js'
import { SessionBearer } from './session-bearer.js'
import { SessionApiError } from './session-error-body.js'
import { SessionSettings } from './session-settings.js'

/** For the mail router alone: to anyone else the route would say which addresses there are, and whose they are. */
@Controller()
export class InboxOwnerController {
  constructor(
    private readonly sessions: EmbeddedSessions,
    private readonly settings: SessionSettings,
  ) {}

  @Get('inbox/owner')
  async owner(@Query('address') address: unknown, @SessionBearer() bearer: string) {
    if (!this.settings.mailRouterToken?.matches(bearer))
      throw new SessionApiError('session-not-valid', 'the token of the mail router is wanted here')
    if (typeof address !== 'string' || address === '' || address.length > 320)
      throw new SessionApiError('invalid-field', 'address must be given once, with 1 to 320 characters')
    const wallet = await this.sessions.inboxOwner(address.toLowerCase())
    if (wallet === undefined) throw new SessionApiError('no-such-thing', 'no such address')
    return { wallet }
  }
}
