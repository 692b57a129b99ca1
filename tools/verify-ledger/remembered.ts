// What was verified last time: the checkpoint, and what it takes to go on from there. An auditor's own memory of a log.

import { createHash } from 'node:crypto'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'

import {
  formatSignedCheckpoint,
  parseSignedCheckpoint,
  type SignedCheckpoint,
} from '../../src/domain/ledger/checkpoint.js'
import { RULES_VERSION } from '../../src/domain/ledger/protocol-rules.js'
import { formatVkey, type NoteKey, parseVkey } from '../../src/domain/ledger/note.js'
import { TileTree } from '../../src/domain/ledger/tile-tree.js'
import { decodeBase64, encodeBase64, FormatError } from '../../src/domain/ledger/encoding.js'
import { writeFileAtomically } from '../../src/storage/atomic-file.js'

import type { VerifierState } from './checks.js'
import { readBoundedSync, targetOf } from './regular-file.js'
import { SourceError } from './sources/source.js'
import { UsageError } from './usage-error.js'

export interface Remembered {
  checkpoint: SignedCheckpoint
  /** The key that signed it. */
  key: NoteKey
  /** After the last full bundle below the checkpoint; undefined when its size is below 256. */
  state: VerifierState | undefined
}

/** `$XDG_STATE_HOME/agentkeys/verify-ledger/<sha256 of origin>.json`, and ~/.local/state where that is not set. */
export function defaultStatePath(origin: string): string {
  const { XDG_STATE_HOME: set } = process.env
  // The XDG base directory specification: a relative path in it is to be ignored.
  const home = set !== undefined && isAbsolute(set) ? set : join(homedir(), '.local', 'state')
  const name = createHash('sha256').update(origin).digest('hex')
  return join(home, 'agentkeys', 'verify-ledger', `${name}.json`)
}

/** A hundred times what it holds at most: tens of megabytes of ids. */
const MAX_STATE_BYTES = 2 ** 30

/** Undefined when there is no such file. Throws SourceError when it cannot be used. */
export function readRemembered(path: string): Remembered | undefined {
  const text = readText(path)
  if (text === undefined) return undefined
  try {
    return parse(text)
  } catch (cause) {
    if (!(cause instanceof FormatError || cause instanceof SyntaxError || cause instanceof TypeError))
      throw cause
    throw new SourceError(
      `${path} is no state of verify-ledger: move it away to start over, or name another with --state FILE`,
      { cause },
    )
  }
}

/** Atomic: the next reader finds this or the previous content. Throws SourceError. */
export function writeRemembered(path: string, remembered: Remembered): void {
  write(path, format(remembered))
}

/** Keeps two checkpoints that contradict each other beside the state. The files' names. */
export function keepEvidence(path: string, checkpoints: readonly SignedCheckpoint[]): string[] {
  return checkpoints.map((checkpoint) => {
    const text = formatSignedCheckpoint(checkpoint)
    const hash = createHash('sha256').update(text).digest('hex').slice(0, 16)
    const name = `${path.replace(/\.json$/, '')}.evidence-${checkpoint.size}-${hash}.checkpoint`
    write(name, text)
    return name
  })
}

function write(path: string, content: string | Uint8Array): void {
  try {
    const target = targetOf(path)
    if (target.kind === 'other') throw new SourceError('it is no regular file')
    writeFileAtomically(target.path, content, 0o600)
  } catch (cause) {
    throw new SourceError(`${path} cannot be written: ${(cause as Error).message}`, { cause })
  }
}

function readText(path: string): string | undefined {
  try {
    const { kind } = targetOf(path)
    if (kind === 'absent') return undefined
    if (kind === 'other')
      throw new UsageError(`${path} is no regular file, so no state can be kept in it: --no-state keeps none`)
    return Buffer.from(readBoundedSync(path, MAX_STATE_BYTES)).toString()
  } catch (cause) {
    if (cause instanceof SourceError || cause instanceof UsageError) throw cause
    const { code, message } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new SourceError(`${path} cannot be read: ${message}`, { cause })
  }
}

/** The form of the file. Another version of it is one that cannot be used. */
interface File {
  v: 1
  /** The rules that the entries below `state` were read by. A file from before there was this member has none. */
  rules?: number
  checkpoint: string
  vkey: string
  state: { chain: VerifierState['chain']; rows: string[]; meaning: VerifierState['meaning'] } | null
}

/** As bytes: of a text so long, Node would set three times its length aside. */
function format({ checkpoint, key, state }: Remembered): Uint8Array {
  const file: File = {
    v: 1,
    rules: RULES_VERSION,
    checkpoint: formatSignedCheckpoint(checkpoint),
    vkey: formatVkey(key),
    state: state
      ? { chain: state.chain, rows: state.tree.rows.map(encodeBase64), meaning: state.meaning }
      : null,
  }
  return Buffer.from(JSON.stringify(file))
}

/** The file is the reader's own, so only what would mislead without a word is checked. Throws what `readRemembered` catches. */
function parse(text: string): Remembered {
  const { v, rules, checkpoint, vkey, state } = JSON.parse(text) as File
  if (v !== 1) throw new FormatError('bad-line', 'state: v must be 1')
  const signed = parseSignedCheckpoint(checkpoint)
  const remembered = { checkpoint: signed, key: parseVkey(vkey), state: undefined }
  // Other rules may find something in entries that passed: they are read again, once.
  if (state === null || rules !== RULES_VERSION) return remembered
  const { chain, meaning } = state
  for (const member of ['counts', 'keys', 'mints'] as const) {
    if (typeof meaning[member] !== 'object') throw new FormatError('truncated', `state: ${member} is missing`)
  }
  const tree = { size: chain.size, rows: state.rows.map((row) => decodeBase64(row, 'state row')) }
  TileTree.resume(tree, () => undefined)
  if (chain.size > signed.size) throw new FormatError('bad-number', 'state: it is ahead of its checkpoint')
  return { ...remembered, state: { chain, tree, meaning } }
}
