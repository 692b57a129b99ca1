// A log as a directory: checkpoint, tiles and entry bundles, as a broker serves them. For tests and measurements.

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { parseSignedCheckpoint, signCheckpoint } from '../../src/domain/ledger/checkpoint.js'
import { cosign } from '../../src/domain/ledger/cosignature.js'
import { type Sealed } from '../../src/domain/ledger/entry.js'
import { formatNote, type Signer, signerFromSeed } from '../../src/domain/ledger/note.js'
import { TileTree } from '../../src/domain/ledger/tile-tree.js'
import { encodeBundle, formatTilePath, type Tile, TILE_WIDTH } from '../../src/domain/ledger/tiles.js'

import { ORIGIN } from './ledger-builder.js'

/** The seed 00..1f, of which LedgerBuilder puts the public half into LedgerOpened. */
export const LOG_SIGNER = signerFromSeed(
  ORIGIN,
  'ed25519',
  Uint8Array.from({ length: 32 }, (_, i) => i),
)

const COSIGNED_AT = 1_780_000_000

export function witness(n: number): Signer {
  return signerFromSeed(`witness.example/w${n}`, 'cosignature', new Uint8Array(32).fill(100 + n))
}

export interface LogOptions {
  signer?: Signer
  origin?: string
  witnesses?: readonly Signer[]
}

/** Writes a log of these entries below `folder`, in bounded memory. Its signed checkpoint, which is written too. */
export function writeTiles(
  folder: string,
  batches: Iterable<readonly Pick<Sealed, 'text' | 'leafHash'>[]>,
  options: LogOptions = {},
): string {
  const write = (path: string, bytes: Uint8Array | string): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), bytes)
  }
  const writeTile = (tile: Tile, hashes: Uint8Array): void => write(formatTilePath(tile), hashes)
  const tree = new TileTree(writeTile)
  let bundle: Uint8Array[] = []
  const writeBundle = (): void => {
    const index = Math.ceil(tree.size / TILE_WIDTH) - 1
    write(formatTilePath({ level: 'entries', index, width: bundle.length }), encodeBundle(bundle))
    bundle = []
  }
  for (const batch of batches) {
    for (const { text, leafHash } of batch) {
      tree.append(Buffer.from(leafHash, 'hex'))
      bundle.push(new TextEncoder().encode(text))
      if (bundle.length === TILE_WIDTH) writeBundle()
    }
  }
  if (bundle.length > 0) writeBundle()
  for (const { tile, hashes } of tree.unfinished()) writeTile(tile, hashes)
  const checkpoint = signedHead(tree.size, tree.root(), options)
  write('checkpoint', checkpoint)
  return checkpoint
}

/** A signed checkpoint, true or not. */
export function signedHead(
  size: number,
  root: Uint8Array,
  { signer = LOG_SIGNER, origin = signer.key.name, witnesses = [] }: LogOptions = {},
): string {
  const note = parseSignedCheckpoint(signCheckpoint({ origin, size, root }, signer)).note
  const cosignatures = witnesses.map((cosigner) => cosign(note.text, cosigner, COSIGNED_AT))
  return formatNote({ text: note.text, signatures: [...note.signatures, ...cosignatures] })
}
