const QUIET_MS = 1_000
const REDRAWN_AFTER_MS = 100
const WIDTH = 40
const CLEAR_LINE = '\r\x1b[K'

/** A bar with rate and time left, on stderr: only for a terminal, and only when it takes over a second. */
export class Progress {
  private readonly started: number
  private drawnAt: number | undefined

  constructor(
    private readonly what: string,
    private readonly out: Pick<NodeJS.WriteStream, 'isTTY' | 'write'> = process.stderr,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.started = now()
  }

  /** `share` is 0 to 1. */
  show(share: number, entries: number): void {
    const now = this.now()
    const elapsedMs = now - this.started
    if (!this.out.isTTY || elapsedMs < QUIET_MS || now < (this.drawnAt ?? -Infinity) + REDRAWN_AFTER_MS)
      return
    this.drawnAt = now
    this.out.write(CLEAR_LINE + this.line(share, entries, elapsedMs / 1000))
  }

  end(): void {
    if (this.drawnAt !== undefined) this.out.write(CLEAR_LINE)
    this.drawnAt = undefined
  }

  private line(share: number, entries: number, seconds: number): string {
    const filled = Math.round(share * WIDTH)
    const bar = '█'.repeat(filled) + '░'.repeat(WIDTH - filled)
    const rate = Math.round(entries / seconds).toLocaleString('en')
    const left = share > 0 ? `, ${Math.ceil(seconds * (1 / share - 1))} s left` : ''
    return `${this.what} ${bar} ${Math.floor(share * 100)}%  ${entries.toLocaleString('en')} entries, ${rate}/s${left}`
  }
}
