// One verification from beginning to end: what to compare the ledger with, the walk over its entries, the comparison.

import {
  parseSignedCheckpoint,
  type SignedCheckpoint,
  type Cosignature,
} from '../../src/domain/ledger/checkpoint.js'
import { type Finding, finding, Findings } from '../../src/domain/ledger/findings.js'
import { formatVkey, type NoteKey } from '../../src/domain/ledger/note.js'
import type { Policy } from '../../src/domain/ledger/policy.js'
import { TILE_WIDTH } from '../../src/domain/ledger/tiles.js'
import { type Expected, type Verdict, verdictOf } from '../../src/domain/ledger/verify.js'
import { sameBytes } from '../../src/domain/ledger/encoding.js'

import { type Checked, type VerifierState, verifySource } from './checks.js'
import {
  defaultStatePath,
  keepEvidence,
  readRemembered,
  type Remembered,
  writeRemembered,
} from './remembered.js'
import { type Source, SourceError } from './sources/source.js'
import {
  type KeyFrom,
  quorumFindings,
  type Signed,
  type Trust,
  trustIn,
  trustInItself,
  whoSigned,
} from './trust.js'

export interface Options {
  /** The log's key, from someone you trust. Without it, a signature shows only that the log agrees with itself. */
  vkey?: NoteKey | undefined
  policy?: Policy | undefined
  /** An older one, that the ledger must have grown from. */
  checkpoint?: SignedCheckpoint | undefined
  expected?: Expected | undefined
  /** Where a log's last checkpoint is remembered; undefined: defaultStatePath; 'none': nowhere. */
  statePath?: string | undefined
  /** Begin at entry 0, whatever is remembered. */
  full?: boolean | undefined
  onProgress?: ((entries: number) => void) | undefined
}

export interface Outcome {
  verdict: Verdict
  /** Entries before this one were verified in an earlier run. */
  resumedFrom: number
  /** The tree of all entries; null when one of them has no hash, or was not read. */
  root: Uint8Array | null
  /** The log's own checkpoint, or the one that was given for a source that signs nothing. */
  checkpoint: SignedCheckpoint | null
  /** The key that verified the checkpoint; null when none did. */
  key: NoteKey | null
  keyFrom: KeyFrom | null
  /** For how many entries a signature vouches: of a checkpoint that they lead to, or of an append in the store. */
  signedSize: number
  cosignatures: readonly Cosignature[]
  /** Of the older checkpoints that the entries were held against: their sizes. */
  consistentWith: readonly number[]
  /** Files with checkpoints that contradict one another. */
  evidence: readonly string[]
  statePath: string | null
  /** Why nothing could be remembered of a run that found nothing; null otherwise. */
  notRemembered: string | null
  /** What was remembered was of another key than the one that is given, so nothing was held against it. */
  otherKeyRemembered: boolean
}

/** A checkpoint to hold the entries against. */
interface Head {
  name: string
  checkpoint: SignedCheckpoint
  /** The one that is served now. */
  current: boolean
}

/** Rejects with SourceError when the source, or the state, cannot be read. */
export async function verify(source: Source, options: Options = {}): Promise<Outcome> {
  const current = source.log && parseSignedCheckpoint(source.log.checkpoint)
  const statePath =
    current && options.statePath !== 'none' ? (options.statePath ?? defaultStatePath(current.origin)) : null
  const found = statePath === null ? undefined : readRemembered(statePath)
  // A key that is given beats one that is remembered: the last run may have used a key that no one confirmed.
  const otherKeyRemembered = found !== undefined && !isGiven(found.key, options)
  const remembered = otherKeyRemembered ? undefined : found
  return new Verification(source, options, { current, remembered, statePath, otherKeyRemembered }).run()
}

interface Known {
  current: SignedCheckpoint | undefined
  remembered: Remembered | undefined
  statePath: string | null
  otherKeyRemembered: boolean
}

/** Whether the reader's own words allow this key: they name it, or no key. */
function isGiven(key: NoteKey, { vkey, policy }: Options): boolean {
  const given = vkey ? [vkey] : (policy?.logs.map((log) => log.key) ?? [])
  return given.length === 0 || given.some((one) => formatVkey(one) === formatVkey(key))
}

class Verification {
  private findings = new Findings()
  private readonly heads: Head[] = []
  /** Those of which a key that is trusted has signed the checkpoint. */
  private readonly believed = new Set<Head>()
  private signed: Signed | undefined
  private trust: Trust | undefined
  private evidence: string[] = []
  private consistentWith: number[] = []
  private signedSize = 0
  private notRemembered: string | null = null

  constructor(
    private readonly source: Source,
    private readonly options: Options,
    private readonly known: Known,
  ) {
    const { current, remembered } = known
    if (current) this.heads.push({ name: 'the checkpoint', checkpoint: current, current: true })
    if (options.checkpoint)
      this.heads.push({ name: 'the checkpoint you gave', checkpoint: options.checkpoint, current: false })
    if (remembered)
      this.heads.push({
        name: 'the remembered checkpoint',
        checkpoint: remembered.checkpoint,
        current: false,
      })
    this.trust = trustIn(options, remembered?.key)
  }

  async run(): Promise<Outcome> {
    if (this.trust) this.checkSignatures(this.trust)
    // Whatever a log of another key serves, there is nothing to hold it against, and no end to how much it may serve.
    if (this.known.current && this.trust && !this.signed?.key) return this.outcome(undefined, 0)

    const state = this.findings.count === 0 ? this.resumable() : undefined
    let checked = await this.walk(state)
    // A report has to be about the whole ledger, and a change to what was verified before has to be found where it is.
    const again = state !== undefined && !this.matches(checked)
    if (again) checked = await this.walk(undefined)
    this.judge(checked)
    if (this.findings.count === 0) this.remember(checked)
    return this.outcome(checked, again ? 0 : (state?.chain.size ?? 0))
  }

  /** Whether nothing is wrong, as far as the walk can tell. */
  private matches({ findings, roots }: Checked): boolean {
    return findings.count === 0 && this.heads.every((head) => sameRoot(head, roots))
  }

  private walk(state: VerifierState | undefined): Promise<Checked> {
    const { current, statePath } = this.known
    // Nothing to remember it in: then it need not be made.
    const fullBundles = statePath === null ? 0 : Math.floor((current?.size ?? 0) / TILE_WIDTH)
    return verifySource(this.source, {
      expected: this.options.expected,
      rootsAt: this.heads.map(({ checkpoint }) => checkpoint.size),
      stateAt: fullBundles > 0 ? fullBundles * TILE_WIDTH : undefined,
      state,
      onProgress: this.options.onProgress,
    })
  }

  /** What to go on from, if all that is to be held against the ledger lies behind it. */
  private resumable(): VerifierState | undefined {
    const state = this.known.remembered?.state
    if (!state || this.options.full) return undefined
    const sizes = this.heads.map(({ checkpoint }) => checkpoint.size)
    const { expected } = this.options
    const least = Math.min(...sizes, expected?.size ?? Infinity)
    const shrunk = sizes.some((size) => size > (this.known.current?.size ?? 0))
    return !shrunk && state.chain.size <= least && state.chain.size < (expected?.size ?? Infinity)
      ? state
      : undefined
  }

  private checkSignatures(trust: Trust): void {
    for (const head of this.heads) {
      const { name, checkpoint, current } = head
      const signed = whoSigned(checkpoint, name, trust)
      this.add(signed.findings)
      const first = this.signed === undefined
      if (first) this.signed = signed
      if (signed.key) this.believed.add(head)
      // Witnesses vouch for what a log shows today; a source that signs nothing has only the checkpoint given.
      if (signed.key && (current || (first && !this.known.current)))
        this.add(quorumFindings(checkpoint, name, signed, trust))
    }
  }

  private judge(checked: Checked): void {
    const { opened } = checked
    const before = this.findings.kept
    this.findings = checked.findings
    this.add(before)
    this.signedSize = checked.signedSize
    if (!this.trust && opened) {
      this.trust = trustInItself(opened, this.options.policy)
      this.checkSignatures(this.trust)
    }
    for (const head of this.believed) this.judgeHead(head, checked)
    const key = this.signed?.key ?? this.options.vkey
    if (!key || !opened) return
    if (opened.origin !== key.name)
      this.add([
        finding(0, 'wrong-origin', 'LedgerOpened names another origin than the key that is expected'),
      ])
    if (opened.vkey !== formatVkey(key))
      this.add([finding(0, 'wrong-vkey', 'LedgerOpened names another key than the one that is expected')])
  }

  private judgeHead(head: Head, checked: Checked): void {
    const { name, checkpoint, current } = head
    const size = this.known.current?.size ?? checked.size
    const last = Math.max(0, checkpoint.size - 1)
    if (checkpoint.size > size) {
      const detail = this.known.current
        ? `${size} entries are older than what you have seen: ${name} is of ${checkpoint.size}`
        : `${name} is of ${checkpoint.size} entries, and the ledger now has ${size}`
      return this.contradicted(head, finding(size, this.known.current ? 'log-shrunk' : 'cut-off', detail))
    }
    const root = checked.roots.get(checkpoint.size)
    if (root && sameBytes(root, checkpoint.root)) {
      this.signedSize = Math.max(this.signedSize, checkpoint.size)
      if (!current) this.consistentWith.push(checkpoint.size)
      return
    }
    // Without a root there is a finding that says why: an entry that has no hash, or was not served.
    if (!root && this.findings.count > 0) return
    if (current)
      return this.add([finding(last, 'wrong-root', 'the root of the entries is not that of the checkpoint')])
    const detail = `the first ${checkpoint.size} entries do not have the root of ${name}`
    if (!this.known.current) return this.add([finding(last, 'other-head', detail)])
    if (this.contradicts(checkpoint, this.known.current, checked))
      return this.contradicted(head, finding(last, 'log-forked', detail))
    // The entries are not those of the checkpoint that is served either, so they say nothing of what the log signed.
    const same = sameHead(checkpoint, this.known.current)
    if (!same) this.add([finding(last, 'wrong-root', detail)])
  }

  /** Whether two heads, both signed, cannot be of one log: of one size, or what leads to the later is not the earlier. */
  private contradicts(older: SignedCheckpoint, current: SignedCheckpoint, { roots }: Checked): boolean {
    if (older.size === current.size) return !sameBytes(older.root, current.root)
    const served = roots.get(current.size)
    return served !== undefined && sameBytes(served, current.root)
  }

  private contradicted({ checkpoint }: Head, found: Finding): void {
    const { current, statePath } = this.known
    this.add([found])
    if (statePath === null || !current) return
    try {
      this.evidence.push(...keepEvidence(statePath, [checkpoint, current]))
    } catch (error) {
      // The finding matters more than the files: the older checkpoint is still in the state, this one in the JSON report.
      if (!(error instanceof SourceError)) throw error
      this.evidence.push(`not kept: ${error.message}`)
    }
  }

  /** Only here, after all else: a run that found anything leaves the memory as it was. */
  private remember({ state }: Checked): void {
    const { current, statePath } = this.known
    if (statePath === null || !current || !this.signed?.key) return
    try {
      writeRemembered(statePath, { checkpoint: current, key: this.signed.key, state })
    } catch (error) {
      // The verdict is about the ledger, and the ledger was read.
      if (!(error instanceof SourceError)) throw error
      this.notRemembered = error.message
    }
  }

  private add(findings: readonly Finding[]): void {
    for (const finding of findings) this.findings.add(finding)
  }

  private outcome(checked: Checked | undefined, resumedFrom: number): Outcome {
    const { current, statePath, otherKeyRemembered } = this.known
    const nothing = { size: 0, head: null, counts: { byType: {}, unknownType: 0, unanswered: 0 } }
    const { size, head, counts } = checked ?? nothing
    return {
      verdict: verdictOf({ size, head }, counts, this.findings),
      resumedFrom,
      root: (current && checked?.roots.get(current.size)) ?? null,
      checkpoint: current ?? this.options.checkpoint ?? null,
      key: this.signed?.key ?? null,
      keyFrom: this.signed?.key || this.signedSize > 0 ? (this.trust?.from ?? null) : null,
      signedSize: this.signedSize,
      cosignatures: this.signed?.cosignatures ?? [],
      consistentWith: this.consistentWith,
      evidence: [...new Set(this.evidence)],
      statePath,
      notRemembered: this.notRemembered,
      otherKeyRemembered,
    }
  }
}

function sameHead(a: SignedCheckpoint, b: SignedCheckpoint): boolean {
  return a.size === b.size && sameBytes(a.root, b.root)
}

function sameRoot({ checkpoint }: Head, roots: Checked['roots']): boolean {
  const root = roots.get(checkpoint.size)
  return root !== undefined && sameBytes(root, checkpoint.root)
}
