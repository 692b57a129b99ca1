// A log that is served as C2SP tlog-tiles, over HTTP or from a directory: both are files below a prefix.

import { isAscii, isUtf8 } from 'node:buffer'

import { parseSignedCheckpoint } from '../../../src/domain/ledger/checkpoint.js'
import { MAX_ENTRY_BYTES } from '../../../src/domain/ledger/entry.js'
import { finding } from '../../../src/domain/ledger/findings.js'
import { NOTE_LIMITS } from '../../../src/domain/ledger/note.js'
import {
  decodeBundle,
  formatTilePath,
  type Tile,
  TILE_WIDTH,
  tileWidth,
} from '../../../src/domain/ledger/tiles.js'
import type { Row } from '../../../src/domain/ledger/verify.js'
import { FormatError, HASH_BYTES } from '../../../src/domain/ledger/encoding.js'

import { type Batch, type Log, type Source, SourceError, SourceFault } from './source.js'

/** `get` gives the file's bytes, undefined when it is missing. Rejects with SourceError, also beyond `maxBytes`. */
export interface Files {
  readonly description: string
  get(path: string, maxBytes: number): Promise<Uint8Array | undefined>
  close(): Promise<void>
}

/** There is no checkpoint. */
export class NoLedger extends SourceError {}

/** Bundles asked for before they are needed: enough to hide the way to the server. */
const BUNDLES_AHEAD = 8

const MAX_TILE_BYTES = TILE_WIDTH * HASH_BYTES
const MAX_BUNDLE_BYTES = TILE_WIDTH * (2 + MAX_ENTRY_BYTES)

export class TileSource implements Source {
  readonly log: Log
  private readonly size: number
  private first = 0
  private next = 0

  private constructor(
    private readonly files: Files,
    readonly checkpoint: string,
  ) {
    this.size = parseSignedCheckpoint(checkpoint).size
    this.log = { checkpoint, tile: (tile) => this.tile(tile) }
  }

  /** Throws SourceError when there is no checkpoint to be read. */
  static async open(files: Files): Promise<TileSource> {
    try {
      const bytes = await files.get('checkpoint', NOTE_LIMITS.maxBytes)
      if (!bytes) throw new NoLedger(`${files.description} holds no ledger: there is no checkpoint`)
      return new TileSource(files, checkpointText(bytes, files.description))
    } catch (error) {
      await files.close()
      throw error
    }
  }

  get description(): string {
    return this.files.description
  }

  async *batches(from = 0): AsyncGenerator<Batch> {
    this.first = this.next = from
    const asked: Promise<Row[]>[] = []
    let index = from / TILE_WIDTH
    const ask = (): void => {
      if (index * TILE_WIDTH >= this.size) return
      const rows = this.bundle(index++)
      // One that fails is awaited in its turn, or never, when one before it fails.
      rows.catch(() => undefined)
      asked.push(rows)
    }
    for (let i = 0; i < BUNDLES_AHEAD; i += 1) ask()
    for (let next = asked.shift(); next; next = asked.shift()) {
      const rows = await next
      ask()
      const batch = { from: this.next, rows }
      this.next += rows.length
      yield batch
    }
  }

  progress(): number {
    return this.size === this.first ? 1 : (this.next - this.first) / (this.size - this.first)
  }

  async close(): Promise<void> {
    await this.files.close()
  }

  private async bundle(index: number): Promise<Row[]> {
    const tile: Tile = { level: 'entries', index, width: tileWidth('entries', index, this.size) }
    const { bytes, width } = await this.fetch(tile, MAX_BUNDLE_BYTES)
    try {
      return decodeBundle(bytes, width).slice(0, tile.width).map(rowOf)
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      throw new SourceFault(
        finding(firstLeaf(tile), 'wrong-bundle', `${formatTilePath(tile)}: ${error.message}`),
      )
    }
  }

  private async tile(tile: Tile): Promise<Uint8Array> {
    const { bytes, width } = await this.fetch(tile, MAX_TILE_BYTES)
    if (bytes.length === width * HASH_BYTES) return bytes.subarray(0, tile.width * HASH_BYTES)
    const detail = `${formatTilePath(tile)} has ${bytes.length} bytes, not ${width * HASH_BYTES}`
    throw new SourceFault(finding(firstLeaf(tile), 'wrong-tile', detail))
  }

  /** A log may drop a partial tile once the full one is there, which then begins with the same hashes. */
  private async fetch(tile: Tile, maxBytes: number): Promise<{ bytes: Uint8Array; width: number }> {
    const found = await this.files.get(formatTilePath(tile), maxBytes)
    if (found) return { bytes: found, width: tile.width }
    const full = { ...tile, width: TILE_WIDTH }
    const instead = tile.width < TILE_WIDTH && (await this.files.get(formatTilePath(full), maxBytes))
    if (instead) return { bytes: instead, width: TILE_WIDTH }
    throw new SourceFault(finding(firstLeaf(tile), 'missing-tile', `there is no ${formatTilePath(tile)}`))
  }
}

/** The index of the first entry that a tile or bundle speaks of. */
export function firstLeaf({ level, index }: Tile): number {
  return index * TILE_WIDTH ** (level === 'entries' ? 1 : level + 1)
}

function checkpointText(bytes: Uint8Array, description: string): string {
  try {
    parseSignedCheckpoint(bytes)
    return Buffer.from(bytes).toString()
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    throw new SourceError(`${description} holds no ledger: ${error.message}`, { cause: error })
  }
}

function rowOf(bytes: Uint8Array): Row {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (isAscii(buffer)) return buffer.toString('latin1')
  // toString() puts U+FFFD for what is no UTF-8, so that is asked first.
  return isUtf8(buffer) ? buffer.toString() : { problem: 'malformed', detail: 'the entry is not UTF-8' }
}
