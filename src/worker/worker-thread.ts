// A thread that owns a file or a connection, as the main thread sees it: questions go over, answers come back.

import type { Worker } from 'node:worker_threads'

/** An error's class does not survive the way between threads: a failure is plain fields. */
export type Answer<Failure> = { ok: true; value: unknown } | { ok: false; failure: Failure }

/** The errors that callers get. */
export interface Failures<Question, Failure> {
  /** What the thread answered, as an error again. */
  revived: (failure: Failure) => Error
  /** What it means for this question that the thread ended without an answer. */
  lost: (question: Question, cause: unknown) => Error
  closed: () => Error
}

interface PendingCall<Question> {
  question: Question
  resolve: (value: unknown) => void
  reject: (error: Error) => void
}

/** The thread is started by the first question, and again by the first one after it was lost. */
export class WorkerThread<Question, Failure> {
  private worker: Worker | undefined
  private readonly pending = new Map<number, PendingCall<Question>>()
  private lastId = 0
  private closed = false

  /** `start` is called in here alone: what it gives the thread, a password perhaps, is no member of anything. */
  constructor(
    private readonly start: () => Worker,
    private readonly failures: Failures<Question, Failure>,
    private readonly warn: (warning: string) => void = () => undefined,
  ) {}

  /** How many questions have no answer yet. */
  get waiting(): number {
    return this.pending.size
  }

  /** Rejects with one of the failures. */
  call(question: Question): Promise<unknown> {
    if (this.closed) return Promise.reject(this.failures.closed())
    const worker = (this.worker ??= this.started())
    const id = (this.lastId += 1)
    return new Promise((resolve, reject) => {
      this.pending.set(id, { question, resolve, reject })
      worker.postMessage({ id, question })
    })
  }

  /** What was asked before is answered first, where the thread answers in order. */
  async close(): Promise<void> {
    this.closed = true
    const { worker } = this
    if (!worker) return
    // Not events.once: that rejects where the thread fails on its way out, and it has ended all the same.
    const ended = new Promise((resolve) => worker.once('exit', resolve))
    worker.postMessage('close')
    await ended
  }

  private started(): Worker {
    const worker = this.start()
    worker.on('message', (message: { id: number; answer: Answer<Failure> } | { warning: string }) => {
      if ('warning' in message) this.warn(message.warning)
      else this.settle(message.id, message.answer)
    })
    worker.on('error', (cause) => this.lose(worker, cause))
    worker.on('exit', () => this.lose(worker, undefined))
    return worker
  }

  private settle(id: number, answer: Answer<Failure>): void {
    const call = this.pending.get(id)
    this.pending.delete(id)
    if (answer.ok) call?.resolve(answer.value)
    else call?.reject(this.failures.revived(answer.failure))
  }

  private lose(worker: Worker, cause: unknown): void {
    if (this.worker !== worker) return
    this.worker = undefined
    const lost = [...this.pending.values()]
    this.pending.clear()
    for (const { question, reject } of lost) reject(this.failures.lost(question, cause))
  }
}
