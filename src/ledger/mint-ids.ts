import { randomFillSync, randomInt } from 'node:crypto'

import { v7 as uuidv7 } from 'uuid'

const MAX_SEQUENCE = 0xffff_ffff
const RANDOM_BYTES = 16

/**
 * UUIDv7s that only grow, RFC 9562 section 6.2 method 1: the verifier tells a used id from a new one by that. `at` is
 * a reading of the ledger's clock, never behind its last entry; where it stands still, the counter goes on.
 */
export class MintIds {
  private last = 0
  private sequence = 0
  /** Drawn for many ids at a time: a draw costs several times as much as the id around it. */
  private readonly random = new Uint8Array(256 * RANDOM_BYTES)
  private drawn = 0

  next(at: Date): string {
    const msecs = at.getTime()
    if (msecs > this.last) {
      this.last = msecs
      // The upper half of the counter's range is kept free to grow into.
      this.sequence = randomInt(0x8000_0000)
    } else if (this.sequence === MAX_SEQUENCE) {
      this.last += 1
      this.sequence = 0
    } else {
      this.sequence += 1
    }
    return uuidv7({ msecs: this.last, seq: this.sequence, random: this.unused() })
  }

  private unused(): Uint8Array {
    if (this.drawn === 0) randomFillSync(this.random)
    const bytes = this.random.subarray(this.drawn, this.drawn + RANDOM_BYTES)
    this.drawn = (this.drawn + RANDOM_BYTES) % this.random.length
    return bytes
  }
}
