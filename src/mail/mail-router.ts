// The mail router: takes every message out of `inbound/`, to the wallets it was received for. It copies first and removes
// last, and what it copies is the same however often: several may run, and each may end at any moment.

import type { Logger } from 'pino'

import { readEnvelope } from '../domain/mail/envelope.js'
import { inboxPrefix, UNDELIVERED } from '../domain/mail/mail-keys.js'
import { judgeMail, routeMail, type Routing } from '../domain/mail/route-mail.js'
import type { Wallet } from '../domain/wallet.js'
import type { InboxOwners, MailStore } from './mail-store.js'
import { Retries } from './retries.js'

/** At once. Each holds the head of a message, and no more of it. */
const AT_ONCE = 4

export interface MailRouterParts {
  store: MailStore
  owners: InboxOwners
  log: Logger
  now: () => number
}

export class MailRouter {
  private readonly retries = new Retries()

  constructor(private readonly parts: MailRouterParts) {}

  /** Once through `inbound/`. Rejects when it cannot be listed. A message that fails stays there, for a later pass. */
  async pass(signal: AbortSignal): Promise<void> {
    for await (const page of this.parts.store.inbound()) {
      const due = page.filter((id) => this.retries.isDue(id, this.parts.now()))
      const next = due.values()
      const work = async () => {
        for (const id of next) if (!signal.aborted) await this.take(id)
      }
      await Promise.all(Array.from({ length: AT_ONCE }, work))
      if (signal.aborted) return
    }
  }

  private async take(messageId: string): Promise<void> {
    const { log, now } = this.parts
    try {
      const routing = await this.routingOf(messageId)
      if (routing && (await this.carryOut(messageId, routing))) report(log, messageId, routing)
      this.retries.done(messageId)
    } catch (error) {
      const retryInMs = this.retries.failed(messageId, now())
      log.warn({ messageId, retryInMs, reason: (error as Error).message }, 'mail stays in inbound')
    }
  }

  /** Undefined when another router has taken it. */
  private async routingOf(messageId: string): Promise<Routing | undefined> {
    const { store, owners } = this.parts
    const head = await store.head(messageId)
    if (head === undefined) return undefined
    const judged = judgeMail(readEnvelope(head, messageId))
    if ('kind' in judged) return judged
    const found = new Map<string, Wallet>()
    for (const recipient of judged.recipients) {
      const owner = await owners.ownerOf(recipient)
      if (owner) found.set(recipient, owner)
    }
    return routeMail(judged, found)
  }

  /** Whether it was this router that did it. The message is removed when every copy of it is durable, and not before. */
  private async carryOut(messageId: string, routing: Routing): Promise<boolean> {
    const { store } = this.parts
    for (const key of destinations(messageId, routing)) if (!(await store.copy(messageId, key))) return false
    await store.remove(messageId)
    return true
  }
}

function destinations(messageId: string, routing: Routing): string[] {
  switch (routing.kind) {
    case 'deliver':
      return routing.wallets.map((wallet) => inboxPrefix(wallet) + messageId)
    case 'set-aside':
      return [UNDELIVERED + messageId]
    case 'drop':
      return []
  }
}

/** Addresses and subjects are the mail's own, and no matter of a log. */
function report(log: Logger, messageId: string, routing: Routing): void {
  switch (routing.kind) {
    case 'deliver':
      return log.info({ messageId, wallets: routing.wallets }, 'mail delivered')
    case 'set-aside':
      return log.warn({ messageId, reason: routing.reason }, 'mail set aside in undelivered/')
    case 'drop':
      return log.warn({ messageId, reason: routing.reason }, 'mail dropped')
  }
}
