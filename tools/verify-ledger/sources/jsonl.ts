// An exported ledger: one canonical entry a line, each ended by a line feed.

import type { FileHandle } from 'node:fs/promises'

import { MAX_ENTRY_BYTES } from '../../../src/domain/ledger/entry.js'
import type { Row } from '../../../src/domain/ledger/verify.js'

import { refuseMangled } from '../mangled.js'
import { openRegular } from '../regular-file.js'

import { SourceError, type Batch, type Source } from './source.js'

const CHUNK_BYTES = 512 * 1024
const LF = 0x0a

export class JsonlSource implements Source {
  readonly description: string
  private bytesRead = 0

  private constructor(
    path: string,
    private readonly file: FileHandle,
    private readonly bytes: number,
  ) {
    this.description = path
  }

  static async open(path: string): Promise<JsonlSource> {
    try {
      const file = await openRegular(path)
      const { size } = await file.stat()
      return new JsonlSource(path, file, size)
    } catch (cause) {
      if (cause instanceof SourceError) throw cause
      throw new SourceError(`${path} cannot be read: ${(cause as Error).message}`, { cause })
    }
  }

  async *batches(): AsyncGenerator<Batch> {
    let place = 0
    const lines = new Lines()
    for await (const chunk of this.chunks()) {
      const rows = lines.take(chunk)
      if (rows.length > 0) yield { from: place, rows }
      place += rows.length
    }
    const rest = lines.end()
    if (rest) yield { from: place, rows: [rest] }
  }

  progress(): number {
    return this.bytes === 0 ? 0 : Math.min(1, this.bytesRead / this.bytes)
  }

  async close(): Promise<void> {
    await this.file.close()
  }

  private async *chunks(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = new Uint8Array(CHUNK_BYTES)
      const { bytesRead } = await this.file.read(chunk, 0, CHUNK_BYTES).catch((cause: Error) => {
        throw new SourceError(`${this.description} cannot be read: ${cause.message}`, { cause })
      })
      if (bytesRead === 0) return
      if (this.bytesRead === 0) refuseMangled(chunk.subarray(0, bytesRead), this.description)
      this.bytesRead += bytesRead
      yield chunk.subarray(0, bytesRead)
    }
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Cuts bytes into lines. Holds back no more than one line that may still become an entry. */
class Lines {
  private begun: Uint8Array = new Uint8Array(0)
  /** The line that has begun is already longer than an entry: its bytes are let go. */
  private tooLong = false

  take(chunk: Uint8Array): Row[] {
    const last = chunk.lastIndexOf(LF)
    if (last === -1) {
      this.keep(chunk)
      return []
    }
    const first = chunk.indexOf(LF)
    const rows = [this.finish(chunk.subarray(0, first)), ...linesOf(chunk.subarray(first + 1, last + 1))]
    this.keep(chunk.subarray(last + 1))
    return rows
  }

  /** What is left of a file that does not end in a line feed. */
  end(): Row | undefined {
    if (this.begun.length === 0 && !this.tooLong) return undefined
    return { problem: 'malformed', detail: 'the last line does not end in a line feed: the file was cut off' }
  }

  private keep(bytes: Uint8Array): void {
    this.begun = concatenated(this.begun, bytes)
    if (this.begun.length <= MAX_ENTRY_BYTES) return
    this.tooLong = true
    this.begun = new Uint8Array(0)
  }

  private finish(bytes: Uint8Array): Row {
    const row: Row = this.tooLong ? TOO_LARGE : rowOf(concatenated(this.begun, bytes))
    this.tooLong = false
    this.begun = new Uint8Array(0)
    return row
  }
}

const TOO_LARGE: Row = { problem: 'too-large', detail: `longer than ${MAX_ENTRY_BYTES} bytes` }

/** `bytes` are whole lines. Decoding them at once is much faster than one by one. */
function linesOf(bytes: Uint8Array): Row[] {
  if (bytes.length === 0) return []
  const body = bytes.subarray(0, -1)
  const text = decoded(body)
  if (text !== undefined) return text.split('\n')
  const rows: Row[] = []
  for (let start = 0; start <= body.length;) {
    const end = body.indexOf(LF, start)
    rows.push(rowOf(body.subarray(start, end === -1 ? body.length : end)))
    if (end === -1) break
    start = end + 1
  }
  return rows
}

function rowOf(line: Uint8Array): Row {
  if (line.length > MAX_ENTRY_BYTES) return TOO_LARGE
  return decoded(line) ?? { problem: 'malformed', detail: 'the line is not UTF-8' }
}

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

function concatenated(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}
