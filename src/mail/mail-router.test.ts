import { expect, test } from '@jest/globals'

import type { Wallet } from '../domain/wallet.js'
import { openLog } from '../logging.js'
import { MailRouter } from './mail-router.js'
import type { InboxOwners, MailStore } from './mail-store.js'

const A = `0x${'a'.repeat(40)}` as Wallet
const B = `0x${'b'.repeat(40)}` as Wallet
const NEVER = new AbortController().signal

/** A bucket whose calls can be made to fail: at the n-th, before it is done or after it. */
class Bucket implements MailStore {
  readonly objects = new Map<string, string>()
  fails: { call: number; done: boolean } | undefined
  calls = 0

  async *inbound() {
    await Promise.resolve()
    yield this.keys('inbound/').map((key) => key.slice('inbound/'.length))
  }

  head(id: string) {
    return this.call(() => this.objects.get(`inbound/${id}`))
  }

  copy(id: string, key: string) {
    return this.call(() => {
      const message = this.objects.get(`inbound/${id}`)
      if (message !== undefined) this.objects.set(key, message)
      return message !== undefined
    })
  }

  remove(id: string) {
    return this.call(() => void this.objects.delete(`inbound/${id}`))
  }

  keys(prefix = ''): string[] {
    return [...this.objects.keys()].filter((key) => key.startsWith(prefix)).sort()
  }

  private call<T>(work: () => T): Promise<T> {
    this.calls += 1
    const fails = this.fails?.call === this.calls ? this.fails : undefined
    if (fails && !fails.done) return Promise.reject(new Error('S3 is down'))
    const result = work()
    return fails ? Promise.reject(new Error('the connection was lost')) : Promise.resolve(result)
  }
}

const INBOXES = new Map([
  ['a@mail.example.com', A],
  ['b@mail.example.com', B],
])
const owners: InboxOwners = { ownerOf: (address) => Promise.resolve(INBOXES.get(address)) }

function message(id: string, to: string, verdicts: readonly [string, string] = ['PASS', 'PASS']): string {
  const [spam, virus] = verdicts
  return [
    `Received: from mx by inbound-smtp.us-east-1.amazonaws.com with SMTP id ${id} for ${to}; now`,
    `X-SES-Spam-Verdict: ${spam}\r\nX-SES-Virus-Verdict: ${virus}`,
    `To: b@mail.example.com\r\n\r\n${id}`,
  ].join('\r\n')
}

function stage(more: { owners?: InboxOwners } = {}) {
  const bucket = new Bucket()
  const lines: string[] = []
  const clock = { now: 0 }
  const log = openLog('info', { write: (line) => void lines.push(line) })
  const router = () => new MailRouter({ store: bucket, owners, log, now: () => clock.now, ...more })
  const put = (id: string, ...parts: [string, (readonly [string, string])?]) =>
    bucket.objects.set(`inbound/${id}`, message(id, ...parts))
  return { bucket, lines, clock, router, put }
}

test('each message goes where its envelope says, and inbound is empty', async () => {
  const { bucket, router, put, lines } = stage()
  put('one', 'a@mail.example.com')
  put('two', 'a@mail.example.com, b@mail.example.com')
  put('spam', 'a@mail.example.com', ['FAIL', 'PASS'])
  put('virus', 'a@mail.example.com', ['PASS', 'FAIL'])
  put('stray', 'c@mail.example.com')
  bucket.objects.set('inbound/setup', 'Delivery is set up')
  await router().pass(NEVER)
  expect(bucket.keys()).toEqual([
    'undelivered/setup',
    'undelivered/stray',
    `users/${A}/inbox/one`,
    `users/${A}/inbox/two`,
    `users/${B}/inbox/two`,
  ])
  expect(lines.join()).not.toContain('mail.example.com')
})

/** Every call to the bucket fails once, before it is done and after it; then passes until nothing is left. */
test.each([false, true])('nothing is lost and nothing astray when a call fails, done: %s', async (done) => {
  const expected = [`users/${A}/inbox/two`, `users/${B}/inbox/two`]
  for (let call = 1; call <= 4; call += 1) {
    const { bucket, router, put, clock } = stage()
    put('two', 'b@mail.example.com, a@mail.example.com')
    bucket.fails = { call, done }
    const first = router()
    await first.pass(NEVER)
    const whole = bucket.keys('inbound/').length === 1 || bucket.keys('users/').length === 2
    expect([call, whole]).toEqual([call, true])
    // The router that failed goes on, and another one in its place.
    clock.now = 600_000
    await first.pass(NEVER)
    await router().pass(NEVER)
    expect([call, bucket.keys()]).toEqual([call, expected])
  }
})

test('two routers at once deliver every message once', async () => {
  const { bucket, router, put, lines } = stage()
  const ids = Array.from({ length: 50 }, (_, i) => `m${i}`)
  for (const id of ids) put(id, 'a@mail.example.com')
  await Promise.all([router().pass(NEVER), router().pass(NEVER)])
  expect(bucket.keys()).toEqual(ids.map((id) => `users/${A}/inbox/${id}`).sort())
  expect(lines.filter((line) => line.includes('stays'))).toEqual([])
})

test('where the session backend does not answer, mail stays and is tried again later', async () => {
  let down = true
  const flaky: InboxOwners = {
    ownerOf: (address) => (down ? Promise.reject(new Error('no answer')) : owners.ownerOf(address)),
  }
  const { bucket, router, put, clock } = stage({ owners: flaky })
  const one = router()
  put('one', 'a@mail.example.com')
  await one.pass(NEVER)
  expect(bucket.keys()).toEqual(['inbound/one'])
  down = false
  put('two', 'b@mail.example.com')
  await one.pass(NEVER)
  expect(bucket.keys()).toEqual(['inbound/one', `users/${B}/inbox/two`])
  clock.now = 2_000
  await one.pass(NEVER)
  expect(bucket.keys()).toEqual([`users/${A}/inbox/one`, `users/${B}/inbox/two`])
})

test('a router that is asked to stop takes no further message', async () => {
  const { bucket, router, put } = stage()
  put('one', 'a@mail.example.com')
  await router().pass(AbortSignal.abort())
  expect(bucket.keys()).toEqual(['inbound/one'])
})
