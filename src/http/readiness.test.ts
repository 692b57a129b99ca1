import { expect, test } from '@jest/globals'

import { Readiness } from './readiness.js'

/** The parts of the broker as far as the check asks them; `healthy` is ended by the test. */
function slowBackend() {
  const questions: ((ok: boolean) => void)[] = []
  const parts = [
    { healthy: () => new Promise<boolean>((resolve) => questions.push(resolve)) },
    { checkIdentity: () => Promise.resolve() },
    { replicationLag: () => Promise.resolve(undefined), status: () => ({ ok: true }) },
    { problem: () => undefined },
    { status: () => ({ ok: true }) },
    { status: () => undefined },
  ] as unknown as ConstructorParameters<typeof Readiness>
  return { readiness: new Readiness(...parts), questions }
}

test('a check that is still running is shared, longer than a finished one is kept', async () => {
  const { readiness, questions } = slowBackend()
  const clock = performance.now.bind(performance)
  const first = readiness.check()
  let second
  try {
    performance.now = () => clock() + 60_000
    second = readiness.check()
  } finally {
    performance.now = clock
  }
  expect(questions).toHaveLength(1)
  questions[0]?.(true)
  expect(await second).toBe(await first)
  expect(await first).toMatchObject({ ready: true })
})
