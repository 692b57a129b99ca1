import { Body, Controller, Delete, Get, HttpCode, Post, Put, Query } from '@nestjs/common'

import { parseWallet, type Wallet } from '../domain/wallet.js'
import { EmbeddedSessions } from '../session/embedded-sessions.js'
import type { AccountCall } from '../session/account-store.js'
import type { Scope } from '../domain/ledger/child-session.js'
import { AgentBody, DeliverBody, LinkBody, SetScopeBody, StoreCredentialBody } from './account.dto.js'
import { SessionBearer } from './session-bearer.js'
import { SessionApiError } from './session-error-body.js'
import { SessionSettings } from './session-settings.js'

interface EventRow {
  owner: string
  agent: string
  service: string
  action: string
  result: string
  at: number
}

interface MessageRow {
  id: string
  sender: string
  subject: string
  body: string
  received_at: number
}

/** What wallets keep at the embedded session backend; the original's routes and forms. */
@Controller()
export class AccountController {
  constructor(
    private readonly sessions: EmbeddedSessions,
    private readonly settings: SessionSettings,
  ) {}

  @Get('session/scope')
  async scope(@Query('wallet') wallet: unknown, @SessionBearer() bearer: string) {
    const { services, readOnly } = (await this.ask(bearer, {
      op: 'scope',
      wallet: walletOf(wallet, 'wallet'),
    })) as Scope
    return { services: [...services].sort(), read_only: readOnly }
  }

  @Put('session/scope')
  async setScope(@Body() body: SetScopeBody, @SessionBearer() bearer: string) {
    const { services, read_only: readOnly } = body.scope
    const wallet = walletOf(body.target_wallet, 'target_wallet')
    const updated = await this.ask(bearer, { op: 'set-scope', wallet, scope: { services, readOnly } })
    return { ok: true, updated }
  }

  @Post('credential/store')
  @HttpCode(200)
  async store(@Body() body: StoreCredentialBody, @SessionBearer() bearer: string) {
    const { service, ciphertext } = body
    await this.ask(bearer, {
      op: 'store',
      agent: walletOf(body.agent_id, 'agent_id'),
      service,
      ciphertext,
    })
    return { ok: true }
  }

  @Get('credential/read')
  async read(
    @Query('agent_id') agent: unknown,
    @Query('service') service: unknown,
    @SessionBearer() bearer: string,
  ) {
    const call = {
      op: 'read',
      agent: walletOf(agent, 'agent_id'),
      service: textOf(service, 'service'),
    } as const
    return { ciphertext: await this.ask(bearer, call) }
  }

  @Get('credential/list')
  async list(@Query('agent_id') agent: unknown, @SessionBearer() bearer: string) {
    return { services: await this.ask(bearer, { op: 'list', agent: walletOf(agent, 'agent_id') }) }
  }

  @Delete('credential/teardown')
  async teardown(@Body() body: AgentBody, @SessionBearer() bearer: string) {
    await this.ask(bearer, { op: 'teardown', agent: walletOf(body.agent_id, 'agent_id') })
    return { ok: true }
  }

  @Get('audit/query')
  async usage(@Query() query: Record<string, unknown>, @SessionBearer() bearer: string) {
    const { owner, agent, service } = query
    const rows = (await this.ask(bearer, {
      op: 'usage',
      ...(owner === undefined ? {} : { owner: walletOf(owner, 'owner') }),
      ...(agent === undefined ? {} : { agent: walletOf(agent, 'agent') }),
      ...(service === undefined ? {} : { service: textOf(service, 'service') }),
    })) as EventRow[]
    return { events: rows.map(({ at, ...row }) => ({ ...row, timestamp: isoTime(at) })) }
  }

  @Post('identity/link')
  @HttpCode(200)
  async link(@Body() body: LinkBody, @SessionBearer() bearer: string) {
    const wallet = walletOf(body.wallet_address, 'wallet_address')
    await this.ask(bearer, {
      op: 'link',
      type: body.identity_type,
      value: body.identity_value,
      wallet,
    })
    return { ok: true }
  }

  /** Asks for a session, where the original asked for none: it showed anyone which names there are. */
  @Get('identity/resolve')
  async resolve(
    @Query('identity_type') type: unknown,
    @Query('identity_value') value: unknown,
    @SessionBearer() bearer: string,
  ) {
    if (type !== 'alias' && type !== 'email')
      throw new SessionApiError('invalid-field', 'identity_type must be alias or email')
    const call = { op: 'resolve', type, value: textOf(value, 'identity_value') } as const
    return { wallet_address: await this.ask(bearer, call) }
  }

  @Post('mock/inbox/provision')
  @HttpCode(200)
  async provisionInbox(@Body() body: AgentBody, @SessionBearer() bearer: string) {
    const agent = walletOf(body.agent_id, 'agent_id')
    const address = await this.ask(bearer, {
      op: 'inbox-provision',
      agent,
      domain: this.settings.mailDomain,
    })
    return { address, agent_wallet: agent }
  }

  @Get('mock/inbox/list')
  inboxes(@Query('agent_id') agent: unknown, @SessionBearer() bearer: string): Promise<unknown> {
    return this.ask(bearer, { op: 'inbox-list', agent: walletOf(agent, 'agent_id') })
  }

  @Get('mock/inbox/messages')
  async messages(@Query('address') address: unknown, @SessionBearer() bearer: string) {
    const call = { op: 'inbox-messages', address: textOf(address, 'address') } as const
    const rows = (await this.ask(bearer, call)) as MessageRow[]
    return rows.map(({ id, sender, subject, body, received_at: at }) => ({
      msg_id: id,
      from: sender,
      subject,
      body,
      received_at: isoTime(at),
    }))
  }

  @Post('mock/inbox/deliver')
  @HttpCode(200)
  async deliver(@Body() { address, from, subject = '', body = '' }: DeliverBody) {
    return { msg_id: await this.sessions.deliver({ address, from, subject, body }) }
  }

  private ask(bearer: string, call: AccountCall): Promise<unknown> {
    return this.sessions.account(bearer, call)
  }
}

function walletOf(value: unknown, name: string): Wallet {
  const wallet = parseWallet(value)
  if (wallet) return wallet
  throw new SessionApiError('invalid-field', `${name} must be 0x and 40 hex digits`)
}

/** A parameter that is given twice is a list. */
function textOf(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '' && value.length <= 320) return value
  throw new SessionApiError('invalid-field', `${name} must be given once, with 1 to 320 characters`)
}

function isoTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString()
}
