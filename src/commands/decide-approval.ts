import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs'

import { Config } from '../config.js'
import type { ApprovalVerb } from '../domain/approval-text.js'
import { BrokerError } from '../domain/errors.js'
import type { Sealed } from '../domain/ledger/entry.js'
import type { EventOf } from '../domain/ledger/events.js'
import { LedgerError } from '../domain/ledger-error.js'
import { Ledger, type LedgerReference } from '../ledger/ledger.js'

export type Decided = EventOf<'ApprovalDenied'>['data']

export class DecideApproval extends Command<LedgerReference> {
  constructor(
    readonly verb: ApprovalVerb,
    readonly decided: Decided,
  ) {
    super()
  }
}

/** Looked at where it is chained: of two decisions, one is the first, and the other decides nothing. */
@CommandHandler(DecideApproval)
export class DecideApprovalHandler implements ICommandHandler<DecideApproval> {
  constructor(
    private readonly ledger: Ledger,
    private readonly config: Config,
  ) {}

  async execute({ verb, decided }: DecideApproval): Promise<LedgerReference> {
    const event = this.event(verb, decided)
    try {
      const [entry] = (await this.ledger.append([event], undefined, ({ approvals, at }) => {
        const problem = approvals.decisionProblem(event.data, at)
        return problem && new LedgerError('approval-changed', problem.detail)
      })) as [Sealed]
      return await this.ledger.release(entry, 'durable')
    } catch (error) {
      if (!(error instanceof LedgerError) || error.code !== 'approval-changed') throw error
      throw new BrokerError('no-such-approval', 'there is no such request, or it was decided or has expired')
    }
  }

  /** An approval is good for as long from its decision on as its request was. */
  private event(verb: ApprovalVerb, data: Decided): EventOf<'ApprovalGranted' | 'ApprovalDenied'> {
    if (verb === 'deny') return { type: 'ApprovalDenied', data }
    const until = this.ledger.clock().getTime() + this.config.approvals.seconds * 1000
    return { type: 'ApprovalGranted', data: { ...data, expiresAt: new Date(until).toISOString() } }
  }
}
