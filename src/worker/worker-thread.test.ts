import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

import { afterEach, expect, test } from '@jest/globals'

import type { StoreError } from '../event-store/event-store.js'
import { type StoreThread, storeThread } from '../event-store/store-thread.js'

type Question =
  | { op: 'echo'; value: unknown }
  | { op: 'hold'; value: unknown }
  | { op: 'release' }
  | { op: 'fail'; code: string; message: string; damage?: boolean }
  | { op: 'hang' | 'append' | 'throw' | 'exit' | 'throw-when-closed' }

/** A thread that does as ordered. What it held back it answers at the next 'release', last first. */
const THREAD = `
  const { parentPort } = require('node:worker_threads')
  const held = []
  let whenClosed = () => parentPort.close()
  parentPort.on('message', (message) => {
    if (message === 'close') return whenClosed()
    const { id, question } = message
    const answer = (id, value) => parentPort.postMessage({ id, answer: { ok: true, value } })
    switch (question.op) {
      case 'echo': return answer(id, question.value)
      case 'hold': return held.push([id, question.value])
      case 'release':
        while (held.length > 0) answer(...held.pop())
        return answer(id)
      case 'fail': {
        const { code, message, damage } = question
        return parentPort.postMessage({ id, answer: { ok: false, failure: { code, message, damage } } })
      }
      case 'throw': throw new Error('the thread is broken')
      case 'exit': return process.exit(7)
      case 'throw-when-closed':
        whenClosed = () => { throw new Error('the thread broke while it closed') }
        return answer(id)
    }
  })
`

const workers: Worker[] = []
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.terminate()
})

function threadOf(code = THREAD): StoreThread<Question> {
  return storeThread<Question>(() => {
    const worker = new Worker(code, { eval: true })
    workers.push(worker)
    return worker
  })
}

/** What was asked and came to nothing. */
async function failureOf(asked: Promise<unknown>): Promise<StoreError> {
  return asked.then(
    () => {
      throw new Error('it was answered')
    },
    (error: StoreError) => error,
  )
}

test('the thread is started by the first question, and once', async () => {
  const thread = threadOf()
  expect(workers).toHaveLength(0)
  expect(await thread.call({ op: 'echo', value: { size: 3 } })).toEqual({ size: 3 })
  expect(await thread.call({ op: 'echo', value: undefined })).toBeUndefined()
  expect(workers).toHaveLength(1)
})

test('each question gets its own answer, in whatever order they come', async () => {
  const thread = threadOf()
  const order: string[] = []
  const asked = ['first', 'second', 'third'].map(async (value) => {
    const answer = await thread.call({ op: 'hold', value })
    order.push(value)
    return answer
  })
  await thread.call({ op: 'release' })
  expect(await Promise.all(asked)).toEqual(['first', 'second', 'third'])
  expect(order).toEqual(['third', 'second', 'first'])
})

test('a failure keeps its code, its words, and whether it tells of damage', async () => {
  const thread = threadOf()
  const refused = { code: 'refused', message: 'the stream is truncated', damage: true } as const
  const full = { code: 'unavailable', message: 'disk full' } as const
  expect(await failureOf(thread.call({ op: 'fail', ...refused }))).toMatchObject({
    name: 'StoreError',
    ...refused,
  })
  expect(await failureOf(thread.call({ op: 'fail', ...full }))).toMatchObject({ ...full, damage: false })
})

test.each(['throw', 'exit'] as const)(
  'a thread that ends (%s) leaves an append unknown and all else unavailable; the next question starts another',
  async (op) => {
    const thread = threadOf()
    const asked = (['append', 'hang', op] as const).map((op) => failureOf(thread.call({ op })))
    const failures = await Promise.all(asked)
    expect(failures.map(({ name, code }) => [name, code])).toEqual([
      ['StoreError', 'unknown'],
      ['StoreError', 'unavailable'],
      ['StoreError', 'unavailable'],
    ])
    const causes = failures.map(({ cause }) => (cause as Error | undefined)?.message)
    expect(new Set(causes)).toEqual(new Set([op === 'throw' ? 'the thread is broken' : undefined]))

    expect(await thread.call({ op: 'echo', value: 'anew' })).toBe('anew')
    expect(workers).toHaveLength(2)
  },
)

test('the end of a thread that was replaced takes nothing from the one that took its place', async () => {
  const thread = threadOf()
  await failureOf(thread.call({ op: 'throw' }))
  const held = thread.call({ op: 'hold', value: 'kept' })
  // An error comes first, the thread's end after it.
  const [former] = workers as [Worker]
  if (former.threadId !== -1) await once(former, 'exit')
  await thread.call({ op: 'release' })
  expect(await held).toBe('kept')
})

test('a thread that cannot be started rejects the call', async () => {
  const thread = threadOf('throw new Error("no such module")')
  expect(await failureOf(thread.call({ op: 'append' }))).toMatchObject({ code: 'unknown' })
  expect(await failureOf(thread.call({ op: 'hang' }))).toMatchObject({ code: 'unavailable' })
})

test('close waits for the thread to end, and nothing can be asked any more', async () => {
  const thread = threadOf()
  await thread.call({ op: 'echo', value: 1 })
  await thread.close()
  expect(workers[0]?.threadId).toBe(-1)
  expect(await failureOf(thread.call({ op: 'append' }))).toMatchObject({
    code: 'unavailable',
    message: 'the ledger is closed',
  })
})

test('close settles what is still asked: no one waits for a thread that is gone', async () => {
  const thread = threadOf()
  const asked = [failureOf(thread.call({ op: 'append' })), failureOf(thread.call({ op: 'hang' }))]
  await thread.close()
  expect((await Promise.all(asked)).map(({ code }) => code)).toEqual(['unknown', 'unavailable'])
})

test('a thread that breaks while it closes has ended all the same', async () => {
  const thread = threadOf()
  await thread.call({ op: 'throw-when-closed' })
  await thread.close()
  expect(workers[0]?.threadId).toBe(-1)
})

test('close starts no thread where none runs: never asked, or lost', async () => {
  await threadOf().close()
  expect(workers).toHaveLength(0)
  const thread = threadOf()
  await failureOf(thread.call({ op: 'exit' }))
  await thread.close()
  expect(workers).toHaveLength(1)
})
