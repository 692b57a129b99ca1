import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs'

import { BrokerError } from '../domain/errors.js'
import type { Sealed } from '../domain/ledger/entry.js'
import { changePlan, type KeyCommand, type KeysNow, sameKeys } from '../domain/ledger/key-changes.js'
import type { SigningKeys } from '../domain/ledger/signing-keys.js'
import { LedgerError } from '../domain/ledger-error.js'
import type { AppendCondition } from '../ledger/callers.js'
import { Ledger, type LedgerReference } from '../ledger/ledger.js'
import { KeyAnnouncer } from '../oidc/announce-key.js'
import { TokenSigner } from '../oidc/token-signer.js'
import { Projector } from '../projections/projector.js'
import { KeysView } from '../projections/signing-keys.js'

export interface ChangedKeys {
  at: string
  /** The kid that signs from now on, and the one that is published to be the next. */
  active: string | undefined
  next: string | undefined
  ledger: LedgerReference
}

export class ChangeKeys extends Command<ChangedKeys> {
  constructor(
    readonly command: KeyCommand,
    /** Of what is revoked. */
    readonly reason = 'revoked by the operator',
  ) {
    super()
  }
}

/** All steps in one append: there is no moment without an active key. Every broker of the ledger follows the entries. */
@CommandHandler(ChangeKeys)
export class ChangeKeysHandler implements ICommandHandler<ChangeKeys> {
  constructor(
    private readonly ledger: Ledger,
    private readonly keys: KeysView,
    private readonly projector: Projector,
    private readonly announcer: KeyAnnouncer,
    private readonly signer: TokenSigner,
  ) {}

  async execute({ command, reason }: ChangeKeys): Promise<ChangedKeys> {
    await this.projector.caughtUpTo(this.ledger.size)
    const known = this.keys.known()
    const plan = changePlan(command, known, this.now())
    if ('refused' in plan) {
      const { reason: why, detail } = plan.refused
      throw new BrokerError(why === 'not-ready' ? 'key-not-ready' : why, detail)
    }
    const { events, fresh } = this.announcer.of(plan, known, reason)
    if (plan.fresh === 'activated' && !fresh)
      throw new BrokerError('key-not-ready', `no key can be made in ${this.announcer.ring.folder}`)
    const entries = await this.ledger.append(events, undefined, unlessKeysChanged(known))
    // The JWKS of this broker has the change when the operator hears of it, and so have its files.
    await this.projector.caughtUpTo(this.ledger.size)
    this.signer.problem()
    const last = entries.at(-1) as Sealed
    const { activeKid: active, next } = this.keys.known()
    const ledger = await this.ledger.release(last, 'durable')
    return { at: last.entry.time, active, next: next?.kid, ledger }
  }

  private now(): KeysNow {
    const published = new Map(this.keys.all().map(({ kid, row }) => [kid, Date.parse(row.published_at)]))
    const { count: served, leavesAt } = this.keys.served()
    return {
      at: this.ledger.clock().getTime(),
      publishAheadMs: this.keys.jwksCacheMs,
      publishedAt: (kid) => published.get(kid) ?? Infinity,
      served,
      leavesAt,
      held: this.announcer.ring.held(),
    }
  }
}

/** What was decided of the keys is appended only where they are as they were then. */
export function unlessKeysChanged(decidedBy: SigningKeys): AppendCondition {
  return ({ keys }) =>
    keys && !sameKeys(keys, decidedBy)
      ? new LedgerError(
          'keys-changed',
          'the signing keys were changed at the same moment: look at them, and ask again',
        )
      : undefined
}
