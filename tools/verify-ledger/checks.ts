// Verifying on two cores. The worker reads each text strictly, hashes it and holds the chain together; this thread
// reads the source and follows what the entries mean, a few batches behind. `verifyLedger` does the same on one.

import { Worker } from 'node:worker_threads'

import { Findings } from '../../src/domain/ledger/findings.js'
import { Meaning } from '../../src/domain/ledger/meaning.js'
import { entryOf, verdictOf, type Expected, type Row, type Verdict } from '../../src/domain/ledger/verify.js'

import type { Answer, Question } from './checks.worker.js'
import type { Batch, Source } from './sources/source.js'

/** Enough for both threads to have work at hand, and little enough to be small. */
const BATCHES_AHEAD = 4

/** Each text is garbage once it is hashed. V8 would let tens of megabytes of it gather. */
const WORKER_LIMITS = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 64 }

/** Verifies all of `source` in bounded memory. Rejects with SourceError when it cannot be read to its end. */
export async function verifySource(
  source: Source,
  expected?: Expected,
  onProgress: (entries: number) => void = () => undefined,
): Promise<Verdict> {
  const chain = new ChainWorker(expected)
  const meaning = new MeaningOfBatches()
  try {
    for await (const batch of source.batches()) {
      meaning.push(batch.rows, chain.take(batch))
      if (meaning.waiting > BATCHES_AHEAD) onProgress(await meaning.takeNext())
    }
    while (meaning.waiting > 0) onProgress(await meaning.takeNext())
    const end = await chain.end()
    for (const { finding } of end.found) meaning.findings.add(finding)
    return verdictOf(end, meaning.counts, meaning.findings)
  } finally {
    await chain.terminate()
  }
}

/** Follows the meaning of the entries that the worker let pass; puts what both threads find in the entries' order. */
class MeaningOfBatches {
  readonly findings = new Findings()
  private readonly queue: { rows: readonly Row[]; answer: Promise<Answer> }[] = []
  private readonly meaning = new Meaning((finding) => this.findings.add(finding))

  get counts(): Verdict['counts'] {
    return this.meaning.counts
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
    const { rejected, found, size } = await next.answer
    const [skips, findings] = [rejected.values(), found.values()]
    let [skip, finding] = [skips.next().value, findings.next().value]
    for (const [i, row] of next.rows.entries()) {
      for (; finding?.row === i; finding = findings.next().value) this.findings.add(finding.finding)
      if (skip === i) skip = skips.next().value
      else this.meaning.take(entryOf(row))
    }
    return size
  }
}

/** Answers come in the order of the questions. */
class ChainWorker {
  private readonly worker: Worker
  private readonly asked: { resolve: (answer: Answer) => void; reject: (error: Error) => void }[] = []
  private failure: Error | undefined

  constructor(expected: Expected | undefined) {
    this.worker = new Worker(new URL('./checks.worker.js', import.meta.url), {
      workerData: expected,
      resourceLimits: WORKER_LIMITS,
    })
    this.worker.on('message', (answer: Answer) => this.asked.shift()?.resolve(answer))
    this.worker.on('error', (error) => this.fail(error))
    this.worker.on('exit', () => this.fail(new Error('the verifying thread ended')))
  }

  take({ from, rows }: Batch): Promise<Answer> {
    return this.ask({ from, rows })
  }

  /** What is found only when it is known that no more entries come. */
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
    // Whoever awaits the answer is told; an answer nobody came to await must not end the process.
    answer.catch(() => undefined)
    this.worker.postMessage(question)
    return answer
  }

  private fail(error: Error): void {
    this.failure ??= error
    for (const { reject } of this.asked.splice(0)) reject(error)
  }
}
