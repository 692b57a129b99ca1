// Verifying on two cores. The worker reads each text strictly, hashes it, holds the chain together and grows the tree;
// this thread reads the source and follows what the entries mean, a few batches behind.

import { Worker } from 'node:worker_threads'

import { CLOCK_SKEW_MS } from '../../src/domain/ledger/credential-rules.js'
import { type Finding, finding, Findings } from '../../src/domain/ledger/findings.js'
import {
  type Counts,
  ProtocolChecker,
  type ProtocolState,
  type Opened,
} from '../../src/domain/ledger/protocol-rules.js'
import type { Entry } from '../../src/domain/ledger/entry.js'
import { LedgerSignatures } from '../../src/domain/ledger/ledger-signature.js'
import { parseVkey } from '../../src/domain/ledger/note.js'
import type { Expected, Row } from '../../src/domain/ledger/verify.js'

import type { Answer, Question, Start, WalkState } from './checks.worker.js'
import { type Batch, type Source, SourceFault } from './sources/source.js'
import { TileChecks } from './tile-checks.js'

export interface Checks {
  expected?: Expected | undefined
  /** Sizes at which the root is wanted. */
  rootsAt?: readonly number[]
  /** The size at which the state is wanted, a multiple of 256. */
  stateAt?: number | undefined
  /** Where to go on. */
  state?: VerifierState | undefined
  onProgress?: ((entries: number) => void) | undefined
}

/** All that is known after a multiple of 256 entries. */
export interface VerifierState extends WalkState {
  meaning: ProtocolState
}

export interface Checked {
  size: number
  head: string | null
  counts: Counts
  findings: Findings
  /** By size. One that is missing was not reached, or has an entry before it that has no hash. */
  roots: ReadonlyMap<number, Uint8Array>
  state: VerifierState | undefined
  opened: Opened | undefined
  /** How many entries the signatures that a store keeps vouch for; 0 where it keeps none. */
  signedSize: number
}

/** Enough for both threads to have work at hand, and little enough to be small. */
const BATCHES_AHEAD = 4

/** Each text is garbage once it is hashed. V8 would let tens of megabytes of it gather. */
const WORKER_LIMITS = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 64 }

/** Verifies `source` in bounded memory. Rejects with SourceError when it cannot be read to its end. */
export async function verifySource(source: Source, checks: Checks = {}): Promise<Checked> {
  const { expected, rootsAt = [], stateAt, state, onProgress = () => undefined } = checks
  const walkState = state && { chain: state.chain, tree: state.tree }
  const walk = new WalkingWorker({ expected, rootsAt, stateAt, state: walkState })
  const batches = new Batches(new TileChecks(source.log), source.keepsSignatures === true, checks)
  try {
    const fault = await faultOf(async () => {
      for await (const batch of source.batches(state?.chain.size)) {
        batches.push(batch.rows, walk.take(batch))
        if (batches.waiting > BATCHES_AHEAD) onProgress(await batches.takeNext())
      }
    })
    while (batches.waiting > 0) onProgress(await batches.takeNext())
    return await batches.end(await walk.end(), fault)
  } finally {
    await walk.terminate()
  }
}

async function faultOf(read: () => Promise<void>): Promise<SourceFault | undefined> {
  try {
    await read()
  } catch (error) {
    if (error instanceof SourceFault) return error
    throw error
  }
}

/** Follows the meaning of the entries that the worker let pass; puts what both threads find in the entries' order. */
class Batches {
  readonly findings = new Findings()
  private readonly queue: { rows: readonly Row[]; answer: Promise<Answer> }[] = []
  private readonly checker: ProtocolChecker
  private readonly roots = new Map<number, Uint8Array>()
  private readonly stateAt: number | undefined
  private signatures: LedgerSignatures | undefined
  /** How many entries a holder of the ledger key has signed. */
  private signedSize = 0
  private taken: number
  private walkState: WalkState | undefined
  private meaningState: ProtocolState | undefined

  constructor(
    private readonly tiles: TileChecks,
    private readonly keepsSignatures: boolean,
    { state, stateAt }: Checks,
  ) {
    this.checker = new ProtocolChecker((finding) => this.findings.add(finding), state?.meaning)
    this.taken = state?.chain.size ?? 0
    this.stateAt = stateAt
  }

  get waiting(): number {
    return this.queue.length
  }

  push(rows: readonly Row[], answer: Promise<Answer>): void {
    this.queue.push({ rows, answer })
  }

  /** Resolves with the number of entries done. */
  async takeNext(): Promise<number> {
    const next = this.queue.shift()
    if (!next) return 0
    const answer = await next.answer
    this.takeRows(next.rows, answer)
    this.takeSignatures(answer)
    await this.keep(answer)
    return answer.size
  }

  /** `last` is what is found only when it is known that no more entries come: not when it was a fault that ended them. */
  async end(last: Answer, fault: SourceFault | undefined): Promise<Checked> {
    if (fault) {
      this.findings.add(fault.finding)
    } else {
      for (const { finding } of last.found) this.findings.add(finding)
      this.checker.end()
      for (const found of this.unsigned(last.size)) this.findings.add(found)
      await this.keep(last)
    }
    for (const finding of await this.tiles.settle(0)) this.findings.add(finding)
    if (this.taken === this.stateAt) this.meaningState ??= this.checker.state()
    const [walk, meaning] = [this.walkState, this.meaningState]
    return {
      size: last.size,
      head: last.head,
      counts: this.checker.counts,
      findings: this.findings,
      roots: this.roots,
      state: walk && meaning && { ...walk, meaning },
      opened: this.checker.opened,
      signedSize: this.signedSize,
    }
  }

  /** Entries are chained: the last good signature of a batch is enough for all before it. */
  private takeSignatures({ heads }: Answer): void {
    const { opened } = this.checker
    if (heads.length === 0 || !opened) return
    this.signatures ??= new LedgerSignatures(parseVkey(opened.vkey))
    const signatures = this.signatures
    const last = heads.findLast((head) => signatures.isOfAppend(head, head.signature))
    this.signedSize = last?.size ?? this.signedSize
  }

  private unsigned(size: number): Finding[] {
    if (!this.keepsSignatures || this.signedSize >= size) return []
    const what =
      this.signedSize === size - 1 ? `entry ${size - 1} is` : `entries ${this.signedSize} to ${size - 1} are`
    return [finding(this.signedSize, 'unsigned-entries', `${what} signed by no holder of the ledger key`)]
  }

  private takeRows(rows: readonly Row[], { rejected, found }: Answer): void {
    const [skips, findings] = [rejected.values(), found.values()]
    let [skip, next] = [skips.next().value, findings.next().value]
    const latest = new Date(Date.now() + CLOCK_SKEW_MS).toISOString()
    for (const [i, row] of rows.entries()) {
      if (this.taken === this.stateAt) this.meaningState = this.checker.state()
      for (; next?.row === i; next = findings.next().value) this.findings.add(next.finding)
      if (skip === i) skip = skips.next().value
      else this.takeEntry(JSON.parse(row as string) as Entry, latest)
      this.taken += 1
    }
  }

  private takeEntry(entry: Entry, latest: string): void {
    this.checker.take(entry)
    const { index, time } = entry
    if (time > latest)
      this.findings.add(finding(index, 'from-the-future', `${time} is yet to come, by this machine's clock`))
  }

  private async keep({ roots, state, tiles }: Answer): Promise<void> {
    for (const { size, root } of roots) this.roots.set(size, root)
    this.walkState ??= state
    for (const tile of tiles) {
      for (const finding of await this.tiles.take(tile)) this.findings.add(finding)
    }
  }
}

/** Answers come in the order of the questions. */
class WalkingWorker {
  private readonly worker: Worker
  private readonly asked: { resolve: (answer: Answer) => void; reject: (error: Error) => void }[] = []
  private failure: Error | undefined

  constructor(start: Start) {
    this.worker = new Worker(new URL('./checks.worker.js', import.meta.url), {
      workerData: start,
      resourceLimits: WORKER_LIMITS,
    })
    this.worker.on('message', (answer: Answer) => this.asked.shift()?.resolve(answer))
    this.worker.on('error', (error) => this.fail(error))
    this.worker.on('exit', () => this.fail(new Error('the verifying thread ended')))
  }

  take({ from, rows, signatures }: Batch): Promise<Answer> {
    return this.ask({ from, rows, signatures })
  }

  end(): Promise<Answer> {
    return this.ask({ from: 0, rows: [] })
  }

  async terminate(): Promise<void> {
    await this.worker.terminate()
  }

  private ask(question: Question): Promise<Answer> {
    const answer = new Promise<Answer>((resolve, reject) => {
      if (this.failure) reject(this.failure)
      else this.asked.push({ resolve, reject })
    })
    // The awaiting call gets it; an answer that is not awaited must not end the process.
    answer.catch(() => undefined)
    this.worker.postMessage(question)
    return answer
  }

  private fail(error: Error): void {
    this.failure ??= error
    for (const { reject } of this.asked.splice(0)) reject(error)
  }
}
