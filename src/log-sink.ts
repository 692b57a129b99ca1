// Where log lines go. A log that cannot be written (its disk is full, its reader has gone or does not read) costs log
// lines and nothing else: no memory beyond a bound, no exception, no wait at the end.

import { write } from 'node:fs'

import type { DestinationStream } from 'pino'

import { deadline } from './deadline.js'

/** What may wait while the other side does not read. */
const MAX_WAITING_BYTES = 1024 * 1024
/** Lines are gathered while a write is under way, and go out in pieces of about this size. */
const PIECE_BYTES = 64 * 1024
/** A pipe that takes nothing now (EAGAIN) is asked again after this. */
const RETRY_MS = 20
/** Every line is a JSON object. */
const OPENING_BRACE = '{'.charCodeAt(0)

export class LogSink implements DestinationStream {
  /** Lines that were lost since the process began. */
  lost = 0
  private waiting: string[] = []
  private waitingBytes = 0
  private writing = false
  private whenIdle: (() => void)[] = []

  constructor(private readonly fd: number) {}

  write(line: string): void {
    const bytes = Buffer.byteLength(line)
    if (this.waitingBytes + bytes > MAX_WAITING_BYTES) {
      this.lost += 1
      return
    }
    this.waiting.push(line)
    this.waitingBytes += bytes
    if (!this.writing) this.writeNext()
  }

  /** Resolves when every line was written or lost, after `withinMs` at the latest. */
  async drained(withinMs: number): Promise<void> {
    if (!this.writing) return
    const idle = new Promise<void>((resolve) => this.whenIdle.push(resolve))
    await deadline(withinMs, idle, () => new Error('lines are left')).catch(() => undefined)
  }

  private writeNext(): void {
    let count = 0
    for (let bytes = 0; count < this.waiting.length && bytes < PIECE_BYTES; count += 1) {
      bytes += Buffer.byteLength(this.waiting[count] as string)
    }
    const lines = this.waiting.splice(0, count)
    if (lines.length === 0) {
      this.writing = false
      for (const resolve of this.whenIdle.splice(0)) resolve()
      return
    }
    this.writing = true
    this.writePiece(Buffer.from(lines.join('')), lines.length)
  }

  private writePiece(piece: Buffer, lines: number): void {
    write(this.fd, piece, 0, piece.length, null, (error, written) => {
      if (error?.code === 'EAGAIN') {
        setTimeout(() => this.writePiece(piece, lines), RETRY_MS).unref()
        return
      }
      const rest = piece.subarray(error ? 0 : written)
      this.waitingBytes -= piece.length - rest.length
      // What did not fit is tried once more by itself: if the disk is full, that try says so.
      if (!error && rest.length > 0) return this.writePiece(rest, lines)
      if (error) this.lose(rest, lines)
      this.writeNext()
    })
  }

  private lose(rest: Buffer, lines: number): void {
    this.lost += lines
    this.waitingBytes -= rest.length
    // A line of which only the beginning was written must not swallow the next one.
    const torn = rest.length > 0 && rest[0] !== OPENING_BRACE
    if (torn && this.waiting.length > 0) {
      this.waiting[0] = `\n${this.waiting[0]}`
      this.waitingBytes += 1
    }
  }
}
