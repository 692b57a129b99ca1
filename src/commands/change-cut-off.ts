import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs'

import { BrokerError } from '../domain/errors.js'
import { type CutOffEvent, MOST_CUT_OFFS } from '../domain/ledger/cut-offs.js'
import type { Sealed } from '../domain/ledger/entry.js'
import { Ledger, type LedgerReference } from '../ledger/ledger.js'

export interface ChangedCutOff {
  /** When nothing was minted for it any more, or was again. */
  at: string
  ledger: LedgerReference
}

export class ChangeCutOff extends Command<ChangedCutOff> {
  constructor(readonly event: CutOffEvent) {
    super()
  }
}

/** Every broker of the ledger obeys the entry as soon as it has read it, and none can append a mint behind it. */
@CommandHandler(ChangeCutOff)
export class ChangeCutOffHandler implements ICommandHandler<ChangeCutOff> {
  constructor(private readonly ledger: Ledger) {}

  async execute({ event }: ChangeCutOff): Promise<ChangedCutOff> {
    const { cutOffs } = this.ledger
    if (event.type === 'AccessRestored' && !cutOffs.has(event.data))
      throw new BrokerError('not-cut-off', `this ${event.data.kind} is not cut off`)
    if (event.type === 'AccessCutOff' && cutOffs.size >= MOST_CUT_OFFS)
      throw new BrokerError('too-many-cut-offs', `${MOST_CUT_OFFS} are cut off already: restore some first`)
    const [entry] = (await this.ledger.append([event])) as [Sealed]
    return { at: entry.entry.time, ledger: await this.ledger.release(entry, 'durable') }
  }
}
