import { type Finding, finding } from '../../src/domain/ledger/findings.js'
import { formatTilePath, type Tile } from '../../src/domain/ledger/tiles.js'

import { type Log, SourceFault } from './sources/source.js'
import { firstLeaf } from './sources/tiles.js'

/** A full tile has 8 kB; as many are asked for at a time. */
const ASKED_AT_ONCE = 16

/** Compares every tile that the entries make with the one that is served. Without a log there is nothing to compare. */
export class TileChecks {
  private readonly asked: Promise<Finding | undefined>[] = []

  constructor(private readonly log: Log | undefined) {}

  /** Resolves with what was found meanwhile. */
  async take({ tile, hashes }: { tile: Tile; hashes: Uint8Array }): Promise<Finding[]> {
    if (!this.log) return []
    const comparison = this.compare(this.log, tile, hashes)
    // It is awaited by settle, or never, when the source cannot be read any further.
    comparison.catch(() => undefined)
    this.asked.push(comparison)
    return this.settle(ASKED_AT_ONCE)
  }

  /** Resolves once no more than `open` comparisons are under way. */
  async settle(open: number): Promise<Finding[]> {
    const found: Finding[] = []
    while (this.asked.length > open) {
      const finding = await this.asked.shift()
      if (finding) found.push(finding)
    }
    return found
  }

  private async compare(log: Log, tile: Tile, hashes: Uint8Array): Promise<Finding | undefined> {
    try {
      const served = await log.tile(tile)
      if (Buffer.compare(served, hashes) === 0) return undefined
      const detail = `${formatTilePath(tile)} does not hold the hashes of the entries below it`
      return finding(firstLeaf(tile), 'wrong-tile', detail)
    } catch (error) {
      if (error instanceof SourceFault) return error.finding
      throw error
    }
  }
}
