// The other end of store-thread.ts, in the thread itself.

import { parentPort } from 'node:worker_threads'

import type { Response } from './store-thread.js'

export interface Service<Question> {
  answer: (question: Question) => unknown
  /** Maps a failure to its response. Must accept every error. */
  failure: (error: unknown, question: Question) => Response
  close: () => void
}

/** Answers questions for as long as the thread lives; those that need no waiting in the order in which they came. */
export function serve<Question>({ answer, failure, close }: Service<Question>): void {
  const answered = async (question: Question): Promise<Response> => {
    try {
      return { ok: true, value: await answer(question) }
    } catch (error) {
      return failure(error, question)
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
