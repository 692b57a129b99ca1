import { expect, test } from '@jest/globals'

import type { Wallet } from '../wallet.js'
import type { Envelope, EnvelopeReading, Verdict } from './envelope.js'
import { inboxPrefix, messageIdOf } from './mail-keys.js'
import { judgeMail, routeMail, type Routing } from './route-mail.js'

const A = `0x${'a'.repeat(40)}` as Wallet
const B = `0x${'b'.repeat(40)}` as Wallet
const OWNERS = new Map([
  ['a@mail.example.com', A],
  ['a2@mail.example.com', A],
  ['b@mail.example.com', B],
])

const envelope = (...recipients: string[]): Envelope => ({ recipients, spam: 'PASS', virus: 'PASS' })
const scanned = (spam: Verdict, virus: Verdict): EnvelopeReading => ({
  ok: true,
  envelope: { recipients: ['a@mail.example.com'], spam, virus },
})

test.each<[Verdict, Verdict, Routing | 'look up']>([
  ['PASS', 'PASS', 'look up'],
  ['GRAY', 'PASS', 'look up'],
  ['FAIL', 'PASS', { kind: 'drop', reason: 'spam' }],
  ['PASS', 'FAIL', { kind: 'drop', reason: 'virus' }],
  ['FAIL', 'FAIL', { kind: 'drop', reason: 'virus' }],
  ['PROCESSING_FAILED', 'PASS', { kind: 'set-aside', reason: 'not-scanned' }],
  ['PASS', 'GRAY', { kind: 'set-aside', reason: 'not-scanned' }],
  ['PASS', 'PROCESSING_FAILED', { kind: 'set-aside', reason: 'not-scanned' }],
])('spam %s and virus %s', (spam, virus, expected) => {
  const reading = scanned(spam, virus)
  const wanted = expected === 'look up' && reading.ok ? reading.envelope : expected
  expect(judgeMail(reading)).toEqual(wanted)
})

test.each(['no-envelope', 'not-scanned'] as const)('a message with %s is set aside', (problem) => {
  expect(judgeMail({ ok: false, problem })).toEqual({ kind: 'set-aside', reason: problem })
})

test.each<[string, string[], Routing]>([
  ['an inbox', ['a@mail.example.com'], { kind: 'deliver', wallets: [A] }],
  [
    'inboxes of two wallets',
    ['b@mail.example.com', 'a@mail.example.com'],
    { kind: 'deliver', wallets: [A, B] },
  ],
  [
    'two inboxes of a wallet',
    ['a@mail.example.com', 'a2@mail.example.com'],
    { kind: 'deliver', wallets: [A] },
  ],
  ['an inbox and no inbox', ['x@mail.example.com', 'b@mail.example.com'], { kind: 'deliver', wallets: [B] }],
  ['no inbox', ['x@mail.example.com'], { kind: 'set-aside', reason: 'no-inbox' }],
  ['an address that names a wallet', [`${A}@mail.example.com`], { kind: 'set-aside', reason: 'no-inbox' }],
])('mail for %s', (_, recipients, expected) => {
  expect(routeMail(envelope(...recipients), OWNERS)).toEqual(expected)
})

test('an object of inbound/ is a message when its name is a message id', () => {
  expect(messageIdOf('inbound/o3vrnil0e2ic28trm7')).toBe('o3vrnil0e2ic28trm7')
  for (const key of [
    'inbound/',
    'inbound/a/b',
    'inbound/../users/x',
    'inbound/.',
    'other/abc',
    'inbound/a b',
  ])
    expect(messageIdOf(key)).toBeUndefined()
})

test("an inbox lies in its wallet's prefix", () => {
  expect(inboxPrefix(A)).toBe(`users/${A}/inbox/`)
})
