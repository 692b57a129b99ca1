// The main thread's side of the read models: hands over texts, gets back how far they are applied. Parses nothing.

import { Worker } from 'node:worker_threads'

import type { Finding } from '../domain/ledger/findings.js'
import type { NoteKey } from '../domain/ledger/note.js'
import { WorkerThread } from '../worker/worker-thread.js'
import type { SigningKeyRow } from './signing-keys.js'

/** How much of the ledger the read models hold: `size` entries, and of the last one its leafHash and time. */
export interface Head {
  size: number
  leafHash: string
  time: string
}

/** What makes an entry one of a broker's. */
export interface Trust {
  ledgerKey: NoteKey
  /** A head that was found to be signed: what leads there is taken without waiting for its signatures. */
  signedHead?: { size: number; leafHash: string } | undefined
}

/** An entry as the store gave it back. */
export interface Row {
  text: string
  signature?: string
}

/** What read-models.worker.ts answers once a batch is committed, rows and head together. */
export interface Applied {
  head: Head
  /** All keys, when the file was opened and whenever one changed. */
  keys?: SigningKeyRow[]
  /** The first entry that could not be taken. Those before it are applied, it and those after it are not. */
  finding?: Finding
  /** How many at the end of the batch are signed by no broker. They are not applied: they begin the next batch. */
  unsigned?: number
}

/** What the thread is started with. */
export interface ThreadData {
  path: string
  trust: Trust
}

/**
 * unavailable  nothing was changed; later it may work (disk full, the thread ended). Reopen and go on from the head.
 * refused      the file is not ours, damaged, or may not be written: an operator must look.
 */
export type ReadModelErrorCode = 'unavailable' | 'refused'

export class ReadModelError extends Error {
  constructor(
    readonly code: ReadModelErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.name = 'ReadModelError'
  }
}

/** What read-models.worker.ts is asked. Its answer is Applied. */
export type Question = { op: 'open' } | { op: 'apply'; rows: readonly Row[] }

export interface ReadModelFailure {
  code: ReadModelErrorCode
  message: string
}

/** Many batches. V8 takes what it is allowed before it tidies up. */
const MEMORY = { maxOldGenerationSizeMb: 96, maxYoungGenerationSizeMb: 16 }

/** The read-model file, in the thread that owns it. A thread that ended is not started again: the file has to be opened. */
export class ReadModels {
  private readonly thread: WorkerThread<Question, ReadModelFailure>

  private constructor(data: ThreadData) {
    this.thread = new WorkerThread(
      () =>
        new Worker(new URL('./read-models.worker.js', import.meta.url), {
          workerData: data,
          resourceLimits: MEMORY,
        }),
      {
        revived: ({ code, message }) => new ReadModelError(code, message),
        lost: (_question, cause) => threadEnded(cause),
        closed: () => threadEnded(undefined),
      },
    )
  }

  /** Opens the file, making it if missing; what it holds already is the answer. Rejects with ReadModelError. */
  static async open(path: string, trust: Trust): Promise<{ models: ReadModels; applied: Applied }> {
    const models = new ReadModels({ path, trust })
    try {
      return { models, applied: await models.ask({ op: 'open' }) }
    } catch (error) {
      await models.close()
      throw error
    }
  }

  /** Applies the entries that follow the head, as far as they are signed. Rejects with ReadModelError: then none of them is applied. */
  apply(rows: readonly Row[]): Promise<Applied> {
    return this.ask({ op: 'apply', rows })
  }

  close(): Promise<void> {
    return this.thread.close()
  }

  private ask(question: Question): Promise<Applied> {
    return this.thread.call(question) as Promise<Applied>
  }
}

function threadEnded(cause: unknown): ReadModelError {
  return new ReadModelError('unavailable', 'the read-model thread ended', { cause })
}
