// The other end of worker-thread.ts, in the thread itself.

import { parentPort } from 'node:worker_threads'

import type { Answer } from './worker-thread.js'

export interface Service<Question, Failure> {
  answer: (question: Question) => unknown
  /** Maps an error to what is sent of it. Must accept every error. */
  failure: (error: unknown, question: Question) => Failure
  close: () => void
}

/** Answers questions for as long as the thread lives; those that need no waiting in the order in which they came. */
export function serve<Question, Failure>({ answer, failure, close }: Service<Question, Failure>): void {
  const answered = async (question: Question): Promise<Answer<Failure>> => {
    try {
      return { ok: true, value: await answer(question) }
    } catch (error) {
      return { ok: false, failure: failure(error, question) }
    }
  }
  parentPort?.on('message', (message: 'close' | { id: number; question: Question }) => {
    if (message === 'close') {
      close()
      parentPort?.close()
      return
    }
    const { id, question } = message
    void answered(question).then((answer) => parentPort?.postMessage({ id, answer }))
  })
}
