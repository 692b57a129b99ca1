// The half of checks.ts that runs beside it.

import { parentPort, workerData } from 'node:worker_threads'

import type { Finding } from '../../src/domain/ledger/findings.js'
import { TileTree, type TileTreeState } from '../../src/domain/ledger/tile-tree.js'
import type { Tile } from '../../src/domain/ledger/tiles.js'
import { type ChainState, ChainWalk, type Expected, type Row } from '../../src/domain/ledger/verify.js'
import { HASH_BYTES } from '../../src/domain/ledger/encoding.js'

/** The start parameters of the walk. */
export interface Start {
  expected?: Expected | undefined
  /** Sizes at which the root is wanted. */
  rootsAt: readonly number[]
  /** The size at which the state is wanted, a multiple of 256. */
  stateAt?: number | undefined
  state?: WalkState | undefined
}

export interface WalkState {
  chain: ChainState
  tree: TileTreeState
}

/** The next rows, the first at place `from`; no rows: that was all. */
export interface Question {
  from: number
  rows: readonly Row[]
  signatures?: ReadonlyMap<number, string> | undefined
}

/** A head, and what the store keeps as the ledger key's signature of it. */
export interface SignedHead {
  size: number
  leafHash: string
  signature: string
}

/** `row` counts from the first of the question's rows. */
export interface Answer {
  /** Those that hold no entry. */
  rejected: number[]
  found: { row: number; finding: Finding }[]
  /** What a log of these entries must serve. */
  tiles: { tile: Tile; hashes: Uint8Array }[]
  roots: { size: number; root: Uint8Array }[]
  state?: WalkState
  heads: SignedHead[]
  /** After these rows. */
  size: number
  head: string | null
}

const { expected, rootsAt, stateAt, state } = workerData as Start
const emptyAnswer = (): Answer => ({
  rejected: [],
  found: [],
  tiles: [],
  roots: [],
  heads: [],
  size: 0,
  head: null,
})

let answer = emptyAnswer()
let row = 0
const walk = new ChainWalk((finding) => answer.found.push({ row, finding }), expected, state?.chain)
const takeTile = (tile: Tile, hashes: Uint8Array): void => void answer.tiles.push({ tile, hashes })
/** Undefined after an entry without a hash: what follows has no place in a tree. */
let tree: TileTree | undefined = state ? TileTree.resume(state.tree, takeTile) : new TileTree(takeTile)

parentPort?.on('message', ({ from, rows, signatures }: Question) => {
  answer = emptyAnswer()
  begin()
  for (row = 0; row < rows.length; row += 1) {
    if (!walk.take(rows[row] as Row, from + row)) answer.rejected.push(row)
    if (walk.head === null) tree = undefined
    else tree?.append(bytesOf(walk.head))
    const signature = signatures?.get(from + row)
    if (signature !== undefined && walk.head !== null)
      answer.heads.push({ size: walk.size, leafHash: walk.head, signature })
    captureRequestedStates()
  }
  if (rows.length === 0) end()
  parentPort?.postMessage({ ...answer, size: walk.size, head: walk.head })
})

const DIGITS = '0123456789abcdef'
const digitOf = Uint8Array.from({ length: 128 }, (_, code) => DIGITS.indexOf(String.fromCharCode(code)))
const leaf = new Uint8Array(HASH_BYTES)

/** A leaf hash as bytes, until the next call. Buffer.from is five times as slow for so few. */
function bytesOf(hex: string): Uint8Array {
  for (let i = 0; i < HASH_BYTES; i += 1) {
    const high = digitOf[hex.charCodeAt(2 * i)] as number
    leaf[i] = (high << 4) | (digitOf[hex.charCodeAt(2 * i + 1)] as number)
  }
  return leaf
}

let begun = false

/** What is asked for may be there before the first row. */
function begin(): void {
  if (!begun) captureRequestedStates()
  begun = true
}

/** Keeps what was asked for at this size. */
function captureRequestedStates(): void {
  if (!tree) return
  if (rootsAt.includes(walk.size)) answer.roots.push({ size: walk.size, root: tree.root() })
  if (walk.size === stateAt) answer.state = { chain: walk.state, tree: tree.state() }
}

function end(): void {
  walk.end()
  if (tree) answer.tiles.push(...tree.unfinished())
}
