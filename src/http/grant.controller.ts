import { hash } from 'node:crypto'

import { Body, Controller, Get, Header, HttpCode, Post } from '@nestjs/common'
import { CommandBus } from '@nestjs/cqrs'

import { type ChangedGrant, CreateGrant, type Grantor, RevokeGrant } from '../commands/change-grant.js'
import { BrokerError } from '../domain/errors.js'
import type { LedgerReference } from '../ledger/ledger.js'
import { AuditQuery } from '../projections/audit-query.js'
import type { GrantRow } from '../projections/grants.js'
import { SessionBackend } from '../session/session-backend.js'
import { Bearer } from './bearer.js'
import { AskPipe } from './body.js'
import { CreateGrantBody, RevokeGrantBody } from './grant.dto.js'
import { Operators } from './operator.js'

interface GrantReply {
  grant_id: string
  ledger: LedgerReference
}

/** The year 9999: what a Date can hold, and the form of a time has room for. */
const LATEST = 253_402_300_799

@Controller('v1/grant')
export class GrantController {
  constructor(
    private readonly commands: CommandBus,
    private readonly audit: AuditQuery,
    private readonly operators: Operators,
    private readonly sessions: SessionBackend,
  ) {}

  @Post('create')
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  async create(@Bearer() bearer: string, @Body(AskPipe) body: CreateGrantBody): Promise<GrantReply> {
    const { wallet, agent, actions, resources, expires_at, max_uses: uses } = body
    for (const [name, list] of Object.entries({ actions, resources }))
      if (list.length === 0 || new Set(list).size < list.length)
        throw new BrokerError('invalid-field', `${name} must have one value at least, and none twice`)
    if (expires_at > LATEST) throw new BrokerError('invalid-field', 'expires_at must be unix seconds')
    const grant = {
      wallet: wallet.toLowerCase(),
      actions,
      resources,
      expiresAt: new Date(expires_at * 1000).toISOString(),
      ...(agent === undefined ? {} : { agent }),
      ...(uses === undefined ? {} : { uses }),
    }
    return replyOf(await this.commands.execute(new CreateGrant(await this.grantor(bearer), grant)))
  }

  @Post('revoke')
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  async revoke(@Bearer() bearer: string, @Body(AskPipe) body: RevokeGrantBody): Promise<GrantReply> {
    const { grant_id: grantId, reason } = body
    return replyOf(await this.commands.execute(new RevokeGrant(await this.grantor(bearer), grantId, reason)))
  }

  @Get('list')
  @Header('Cache-Control', 'no-store')
  async list(@Bearer() bearer: string): Promise<{ grants: object[] }> {
    const { by } = await this.grantor(bearer)
    const grants = this.audit.grants(by === 'operator' ? undefined : by)
    return { grants: grants.map(shown) }
  }

  /** The operator's token is looked at first, so it is never shown to a session backend. */
  private async grantor(bearer: string): Promise<Grantor> {
    if (this.operators.is(bearer)) return { by: 'operator' }
    const { wallet, child } = await this.sessions.validate(bearer)
    const session = { tokenSha256: hash('sha256', bearer), parents: child?.parents ?? [] }
    return { by: wallet, session }
  }
}

function replyOf({ grantId, ledger }: ChangedGrant): GrantReply {
  return { grant_id: grantId, ledger }
}

function shown({ actions, resources, uses, used, expires_at, from_grant, ...row }: GrantRow): object {
  return {
    ...row,
    actions: JSON.parse(actions) as unknown,
    resources: JSON.parse(resources) as unknown,
    max_uses: uses,
    used_count: used,
    expires_at: Math.floor(Date.parse(expires_at) / 1000),
    passed_on_from: from_grant,
  }
}
