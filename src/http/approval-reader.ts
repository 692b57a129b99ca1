// Approvals as they are shown: from the read model, brought up to the ledger's end first.

import { Injectable } from '@nestjs/common'

import { approvalText, type ApprovalVerb } from '../domain/approval-text.js'
import { Ledger } from '../ledger/ledger.js'
import { approvalOf, type ApprovalRow, askTextOf } from '../projections/approvals.js'
import { AuditQuery } from '../projections/audit-query.js'
import { Projector } from '../projections/projector.js'
import { ApprovalWaits } from './approval-waits.js'

@Injectable()
export class ApprovalReader {
  constructor(
    private readonly audit: AuditQuery,
    private readonly projector: Projector,
    private readonly ledger: Ledger,
    private readonly waits: ApprovalWaits,
  ) {}

  async find(id: string): Promise<ApprovalRow | undefined> {
    await this.projector.caughtUpTo(this.ledger.size)
    return this.audit.approval(id)
  }

  async list(which: 'open' | 'all'): Promise<ApprovalRow[]> {
    await this.projector.caughtUpTo(this.ledger.size)
    return this.audit.approvals(which === 'all' ? undefined : this.ledger.clock())
  }

  /** As it is once it is decided, or has expired, or `seconds` have passed. */
  async settled(row: ApprovalRow, seconds: number): Promise<ApprovalRow> {
    const { approval_id: id } = row
    await this.waits.until(id, seconds * 1000, () => this.stateOf(this.audit.approval(id)) !== 'open')
    return this.audit.approval(id) ?? row
  }

  text(verb: ApprovalVerb, row: ApprovalRow): string {
    return approvalText(verb, this.ledger.origin, approvalOf(row))
  }

  stateOf(row: ApprovalRow | undefined): ApprovalRow['state'] | 'expired' {
    if (!row) return 'expired'
    const isOver = row.state !== 'used' && row.state !== 'denied'
    return isOver && Date.parse(row.state_until) <= this.ledger.clock().getTime() ? 'expired' : row.state
  }

  shown(row: ApprovalRow): object {
    const { parents: _parents, token_sha256: _token, state_until, signature: _signature, ...shown } = row
    const toSign = { approve: this.text('approve', row), deny: this.text('deny', row) }
    return {
      ...shown,
      expires_at: state_until,
      state: this.stateOf(row),
      ask: askTextOf(row),
      to_sign: toSign,
    }
  }
}
