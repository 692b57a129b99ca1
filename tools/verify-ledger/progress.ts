import type * as CliProgress from 'cli-progress'

const QUIET_MS = 1_000
const STEPS = 1_000

/** A bar with rate and time left, on stderr: only for a terminal, and only when it takes over a second. */
export class Progress {
  private readonly started = performance.now()
  private bar: CliProgress.SingleBar | undefined
  private library: typeof CliProgress | undefined

  constructor(private readonly what: string) {
    // A run that shows no bar need not wait for one.
    if (process.stderr.isTTY) void import('cli-progress').then((library) => (this.library = library))
  }

  /** `share` is 0 to 1. */
  show(share: number, entries: number): void {
    const elapsedMs = performance.now() - this.started
    if (!this.library || elapsedMs < QUIET_MS) return
    const rate = Math.round(entries / (elapsedMs / 1000)).toLocaleString('en')
    const left = share > 0 ? `${Math.ceil((elapsedMs / 1000) * (1 / share - 1))} s left` : ''
    const payload = { entries: entries.toLocaleString('en'), rate, left }
    this.bar ??= this.start(this.library, payload)
    this.bar.update(Math.floor(share * STEPS), payload)
  }

  end(): void {
    this.bar?.stop()
    this.bar = undefined
  }

  private start({ Presets, SingleBar }: typeof CliProgress, payload: object): CliProgress.SingleBar {
    const format = `${this.what} {bar} {percentage}%  {entries} entries, {rate}/s, {left}`
    const bar = new SingleBar(
      { format, stream: process.stderr, clearOnComplete: true },
      Presets.shades_classic,
    )
    bar.start(STEPS, 0, payload)
    return bar
  }
}
