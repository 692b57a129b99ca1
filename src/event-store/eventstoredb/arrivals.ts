// What a subscription brings, gathered: an append comes as messages of its own, and a follower pays for each batch
// (a signature, a transaction), whatever its length. So what was appended together is handed on together.

import { appendNote, type FoundEvent } from './event.js'
import type { Subscription } from './subscription.js'

/** Holds any group that a broker appends at once. When so much has gathered, the server is left to wait. */
const MAX_BUFFERED_EVENTS = 512
/** How long the next piece of an append may take to arrive. It is stored already; only a broken subscription loses it. */
const PARTIAL_APPEND_TIMEOUT_MS = 20

export class Arrivals {
  private found: FoundEvent[] = []
  /** How many of them are whole appends. */
  private whole = 0
  private ended: { error: Error | undefined } | undefined
  private rest: NodeJS.Timeout | undefined
  private wake: (() => void) | undefined

  constructor(private readonly subscription: Subscription) {
    subscription.onEvent((event) => this.take(event))
    subscription.onEnd((error) => this.end(error))
  }

  /** Whole appends, as many as have arrived; a piece of one when its rest does not come. Undefined at the end. */
  async next(): Promise<FoundEvent[] | undefined> {
    while (this.whole === 0 && !this.ended) {
      if (this.found.length > 0) this.rest ??= setTimeout(() => this.giveUpRest(), PARTIAL_APPEND_TIMEOUT_MS)
      await new Promise<void>((resolve) => (this.wake = resolve))
    }
    clearTimeout(this.rest)
    this.rest = undefined
    if (this.ended?.error) throw this.ended.error
    if (this.ended) return undefined
    const batch = this.found.splice(0, this.whole)
    this.whole = 0
    this.subscription.messages.resume()
    return batch
  }

  private take(event: FoundEvent): void {
    this.found.push(event)
    if (!isAmidAnAppend(event) || this.found.length >= MAX_BUFFERED_EVENTS) this.whole = this.found.length
    if (this.found.length >= MAX_BUFFERED_EVENTS) this.subscription.messages.pause()
    this.rest?.refresh()
    if (this.whole > 0 || !this.rest) this.wake?.()
  }

  private giveUpRest(): void {
    // A loop that was held up comes to its timers first, and only then to what lies in the socket.
    setImmediate(() => {
      this.whole = this.found.length
      this.wake?.()
    })
  }

  private end(error: Error | undefined): void {
    this.ended ??= { error }
    this.wake?.()
  }
}

/** As its metadata says, which is anybody's word: so nothing waits for long on it. */
function isAmidAnAppend({ revision, metadata }: FoundEvent): boolean {
  const { upTo } = appendNote(metadata)
  return upTo !== undefined && revision < BigInt(upTo)
}
