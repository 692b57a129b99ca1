// A thread that owns a store's file or connection, as the main thread sees it: questions go over, answers come back.

import type { Worker } from 'node:worker_threads'

import { StoreError, type StoreErrorCode } from './event-store.js'

/** Error classes are lost by structured clone, so failures are sent as plain fields. */
export type Response =
  | { ok: true; value: unknown }
  | { ok: false; code: StoreErrorCode; message: string; damage?: boolean; denied?: boolean }

interface PendingCall {
  resolve: (value: unknown) => void
  reject: (error: StoreError) => void
  /** What it means for this question that the thread ended without an answer. */
  ifLost: StoreErrorCode
}

/** The thread is started by the first question, and again by the first one after it was lost. */
export class StoreThread<Question extends { op: string }> {
  private worker: Worker | undefined
  private readonly waiting = new Map<number, PendingCall>()
  private lastId = 0
  private closed = false

  /** `start` is called in here alone: what it gives the thread, a password perhaps, is no member of anything. */
  constructor(
    private readonly start: () => Worker,
    private readonly warn: (warning: string) => void = () => undefined,
  ) {}

  /** Rejects with StoreError: the thread's own, or 'unknown' for an append and 'unavailable' for all else when it ended. */
  call(question: Question): Promise<unknown> {
    if (this.closed) return Promise.reject(new StoreError('unavailable', 'the ledger is closed'))
    const worker = (this.worker ??= this.started())
    const id = (this.lastId += 1)
    const ifLost = question.op === 'append' ? 'unknown' : 'unavailable'
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, ifLost })
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
    worker.on('message', (message: { id: number; answer: Response } | { warning: string }) => {
      if ('warning' in message) this.warn(message.warning)
      else this.settle(message.id, message.answer)
    })
    worker.on('error', (cause) => this.lose(worker, cause))
    worker.on('exit', () => this.lose(worker, undefined))
    return worker
  }

  private settle(id: number, answer: Response): void {
    const waiting = this.waiting.get(id)
    this.waiting.delete(id)
    if (answer.ok) return waiting?.resolve(answer.value)
    const { code, message, damage = false, denied = false } = answer
    waiting?.reject(new StoreError(code, message, { damage, denied }))
  }

  private lose(worker: Worker, cause: unknown): void {
    if (this.worker !== worker) return
    this.worker = undefined
    const lost = [...this.waiting.values()]
    this.waiting.clear()
    const why = cause instanceof Error ? `: ${cause.message}` : ''
    for (const { reject, ifLost } of lost)
      reject(new StoreError(ifLost, `the ledger thread ended${why}`, { cause }))
  }
}
