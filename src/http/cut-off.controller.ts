import { Body, Controller, Get, Header, HttpCode, Post } from '@nestjs/common'
import { CommandBus } from '@nestjs/cqrs'

import { ChangeCutOff } from '../commands/change-cut-off.js'
import { denyIssuedBefore } from '../domain/aws-deny.js'
import { BrokerError } from '../domain/errors.js'
import { type CutOffEvent, isCutOffTarget, TARGET_FORM } from '../domain/ledger/cut-offs.js'
import { MintPolicy } from '../domain/mint.js'
import type { LedgerReference } from '../ledger/ledger.js'
import { AuditQuery } from '../projections/audit-query.js'
import type { CutOffRow } from '../projections/cut-offs.js'
import { Bearer } from './bearer.js'
import { AskPipe } from './body.js'
import { CutOffBody } from './cut-off.dto.js'
import { Operators } from './operator.js'

interface RestoreReply {
  kind: string
  target: string
  at: string
  ledger: LedgerReference
}

interface CutOffReply extends RestoreReply {
  /** AWS sessions of an earlier `aws:TokenIssueTime` may still be the target's. */
  deny_issued_before: string
}

@Controller('v1')
export class CutOffController {
  constructor(
    private readonly commands: CommandBus,
    private readonly policy: MintPolicy,
    private readonly audit: AuditQuery,
    private readonly operators: Operators,
  ) {}

  @Post('cut-off')
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  async cutOff(@Bearer() bearer: string, @Body(AskPipe) body: CutOffBody): Promise<CutOffReply> {
    const reply = await this.change(bearer, 'AccessCutOff', body)
    const deny_issued_before = denyIssuedBefore(new Date(reply.at), this.policy).toISOString()
    return { ...reply, deny_issued_before }
  }

  @Post('restore')
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  restore(@Bearer() bearer: string, @Body(AskPipe) body: CutOffBody): Promise<RestoreReply> {
    return this.change(bearer, 'AccessRestored', body)
  }

  @Get('cut-offs')
  @Header('Cache-Control', 'no-store')
  list(@Bearer() bearer: string): { cut_offs: CutOffRow[] } {
    this.operators.assert(bearer)
    return { cut_offs: this.audit.cutOffs() }
  }

  private async change(
    bearer: string,
    type: CutOffEvent['type'],
    { kind, target, reason }: CutOffBody,
  ): Promise<RestoreReply> {
    this.operators.assert(bearer)
    if (!isCutOffTarget({ kind, target }))
      throw new BrokerError('invalid-field', `target must be ${TARGET_FORM[kind]}`)
    const data = reason === undefined ? { kind, target } : { kind, target, reason }
    const { at, ledger } = await this.commands.execute(new ChangeCutOff({ type, data }))
    return { kind, target, at, ledger }
  }
}
