import { deadline } from '../deadline.js'

export interface GivenUp {
  /** The remote party had its time. */
  late: () => Error
  /** The time went by while our own requests had every connection: our load, not the other side's fault. */
  busy: () => Error
}

/** As many requests at once as there are connections; the others wait here, where our own queueing can be distinguished from a late answer. */
export class ConnectionLimit {
  private underWay = 0
  private readonly waiting = new Set<() => void>()

  constructor(private readonly size: number) {}

  /** One request within `ms`, from the wait for a connection to the last byte of the reply. */
  request<T>(ms: number, send: (signal: AbortSignal) => Promise<T>, { late, busy }: GivenUp): Promise<T> {
    const askedAt = performance.now()
    let begunAt = Infinity
    const work = async (signal: AbortSignal) => {
      await this.connection(signal)
      begunAt = performance.now()
      try {
        return await send(signal)
      } finally {
        this.release()
      }
    }
    // Who got a connection only in the last half of the time has not given the other side a fair chance.
    return deadline(ms, work, () => (begunAt - askedAt > ms / 2 ? busy() : late()))
  }

  private connection(signal: AbortSignal): Promise<void> {
    if (this.underWay < this.size) {
      this.underWay += 1
      return Promise.resolve()
    }
    return new Promise((resolve) => {
      this.waiting.add(resolve)
      signal.addEventListener('abort', () => this.waiting.delete(resolve), { once: true })
    })
  }

  private release(): void {
    const [next] = this.waiting
    if (!next) {
      this.underWay -= 1
      return
    }
    this.waiting.delete(next)
    next()
  }
}
