// Which mint ids were used: the last ones exactly, and of those that were forgotten, up to which id they went.

import { GenerationalMap, type GenerationalMapIds } from './generational-map.js'

/** How many ids are remembered at least. */
const REMEMBERED_IDS = 125_000

/** Ids drawn by a clock that is ahead of the ledger's last entry; no honest cluster has so many at a time. */
const MAX_AHEAD = 10_000

export interface MintIdState {
  ids: GenerationalMapIds
  ahead: [string, number][]
}

/**
 * A UUIDv7 grows with time, so an id greater than all that were forgotten is new; of any other nothing can be said.
 * For this to stay true, an id from the future must not become the greatest that was forgotten: one entry with such an
 * id would make every honest mint after it look old. Ids ahead of their entry are therefore kept apart until entries
 * have caught up with them.
 */
export class MintIdMemory {
  private readonly ids = new GenerationalMap<true>(REMEMBERED_IDS)
  /** id → its time. */
  private readonly ahead = new Map<string, number>()
  private nextDue = Infinity

  has(mintId: string): boolean {
    return this.ids.has(mintId) || this.ahead.has(mintId)
  }

  /** Whether it may be one that was forgotten. */
  mayBeForgotten(mintId: string): boolean {
    return mintId <= this.ids.forgotten
  }

  /** `at`: the time of its entry, in milliseconds. False: it is not remembered, as too many ids are ahead of time. */
  add(mintId: string, at: number): boolean {
    if (this.nextDue <= at) this.catchUp(at)
    const time = mintIdTime(mintId)
    if (time <= at) {
      this.ids.set(mintId, true)
      return true
    }
    if (this.ahead.size >= MAX_AHEAD) return false
    this.ahead.set(mintId, time)
    this.nextDue = Math.min(this.nextDue, time)
    return true
  }

  state(): MintIdState {
    return { ids: this.ids.ids(), ahead: [...this.ahead] }
  }

  restore({ ids, ahead }: MintIdState): void {
    this.ids.restoreIds(ids, true)
    for (const [mintId, time] of ahead) this.ahead.set(mintId, time)
    this.nextDue = Math.min(...this.ahead.values())
  }

  private catchUp(at: number): void {
    for (const [mintId, time] of this.ahead) {
      if (time > at) continue
      this.ahead.delete(mintId)
      this.ids.set(mintId, true)
    }
    this.nextDue = Math.min(...this.ahead.values())
  }
}

/** RFC 9562 section 5.7: the first 48 bits are milliseconds since 1970. */
export function mintIdTime(mintId: string): number {
  return parseInt(mintId.slice(0, 8) + mintId.slice(9, 13), 16)
}
