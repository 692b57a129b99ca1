import { Body, Controller, Get, Header, HttpCode, Param, Post, Query, Req } from '@nestjs/common'
import { CommandBus } from '@nestjs/cqrs'
import type { FastifyRequest } from 'fastify'

import { DecideApproval } from '../commands/decide-approval.js'
import type { ApprovalVerb } from '../domain/approval-text.js'
import { BrokerError } from '../domain/errors.js'
import type { LedgerReference } from '../ledger/ledger.js'
import { approvalOf, type ApprovalRow } from '../projections/approvals.js'
import { SessionBackend } from '../session/session-backend.js'
import { signerOf } from '../session/wallet-signature.js'
import { ApprovalQuery, ApprovalsQuery, DecideBody } from './approval.dto.js'
import { ApprovalReader } from './approval-reader.js'
import { Bearer, bearerOf } from './bearer.js'
import { AskPipe } from './body.js'
import { Operators } from './operator.js'

interface Decided {
  approval_id: string
  ledger: LedgerReference
}

@Controller('v1/approvals')
export class ApprovalController {
  constructor(
    private readonly commands: CommandBus,
    private readonly reader: ApprovalReader,
    private readonly operators: Operators,
    private readonly sessions: SessionBackend,
  ) {}

  @Get()
  @Header('Cache-Control', 'no-store')
  async list(
    @Bearer() bearer: string,
    @Query(AskPipe) query: ApprovalsQuery,
  ): Promise<{ approvals: object[] }> {
    this.operators.assert(bearer)
    const rows = await this.reader.list(query.state ?? 'open')
    return { approvals: rows.map((row) => this.reader.shown(row)) }
  }

  /** Seen by the wallet that asked, by those that may decide, and for all others as one that does not exist. */
  @Get(':id')
  @Header('Cache-Control', 'no-store')
  async get(
    @Bearer() bearer: string,
    @Param('id') id: string,
    @Query(AskPipe) { wait = '0' }: ApprovalQuery,
  ): Promise<object> {
    const reader = this.operators.is(bearer) ? undefined : (await this.sessions.validate(bearer)).wallet
    const isDecider = reader === undefined || this.operators.approverIs(reader)
    const row = await this.reader.find(id)
    if (!row || !(isDecider || row.wallet === reader)) throw noSuch()
    return this.reader.shown(await this.reader.settled(row, Number(wait)))
  }

  @Post(':id/approve')
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  approve(
    @Req() request: FastifyRequest,
    @Param('id') id: string,
    @Body(AskPipe) body: DecideBody,
  ): Promise<Decided> {
    return this.decide('approve', request, id, body)
  }

  @Post(':id/deny')
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  deny(
    @Req() request: FastifyRequest,
    @Param('id') id: string,
    @Body(AskPipe) body: DecideBody,
  ): Promise<Decided> {
    return this.decide('deny', request, id, body)
  }

  private async decide(
    verb: ApprovalVerb,
    request: FastifyRequest,
    id: string,
    { signature, reason }: DecideBody,
  ): Promise<Decided> {
    // A signature takes the place of the token, which a wallet that decides has none of.
    if (signature === undefined) this.operators.assert(bearerOf(request))
    const row = await this.reader.find(id)
    const by = signature === undefined ? 'operator' : this.approver(verb, row, signature)
    if (!row || this.reader.stateOf(row) !== 'open') throw noSuch()
    const decided = {
      ...{ approvalId: id, askSha256: row.ask_sha256, by },
      ...(reason === undefined ? {} : { reason }),
      ...(signature === undefined ? {} : { signature: signature.toLowerCase() }),
    }
    const ledger = await this.commands.execute(new DecideApproval(verb, decided))
    return { approval_id: id, ledger }
  }

  /** One answer for a request that does not exist and for a wallet that may not decide it. */
  private approver(verb: ApprovalVerb, row: ApprovalRow | undefined, signature: string): string {
    const wallet = row && signerOf(this.reader.text(verb, row), signature)
    const family = row && [row.wallet, ...approvalOf(row).parents.map((parent) => parent.wallet)]
    if (wallet && this.operators.approverIs(wallet) && !family?.includes(wallet)) return wallet
    throw new BrokerError(
      'not-an-approver',
      'the signature must be of a wallet in BROKER_APPROVERS that did not ask, over the text of this request',
    )
  }
}

function noSuch(): BrokerError {
  return new BrokerError('no-such-approval', 'there is no such request, or it was decided or has expired')
}
