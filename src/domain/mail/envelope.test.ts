import { expect, test } from '@jest/globals'
import fc from 'fast-check'

import { readEnvelope } from './envelope.js'

const ID = 'o3vrnil0e2ic28trm7dfhrc2v0clambda4nbp0g1'
const INBOX = 'bot-0123456789abcdef@mail.example.com'
const BY = 'by inbound-smtp.eu-west-1.amazonaws.com with SMTP'
const DATE = 'Sat, 28 Nov 2026 02:00:00 +0000 (UTC)'

interface Parts {
  from?: string
  id?: string
  to?: string
  verdicts?: string[]
  message?: string[]
}

const SCANNED = ['X-SES-Spam-Verdict: PASS', 'X-SES-Virus-Verdict: PASS']
const MESSAGE = ['From: a@example.org', 'To: b@example.org', '', 'Hello']

function head({ from = 'mx.example.org', id = ID, to = INBOX, verdicts = SCANNED, message }: Parts = {}) {
  const received = [
    'Return-Path: <a@example.org>',
    `Received: from ${from}`,
    ` ${BY} id ${id}`,
    ` for ${to};`,
  ]
  const below = ['Received-SPF: pass (example)', ...(message ?? MESSAGE)]
  return [...received, ` ${DATE}`, ...verdicts, ...below].join('\r\n')
}

const read = (parts?: Parts) => readEnvelope(head(parts), ID)
const to = (...recipients: string[]) => ({ ok: true, envelope: { recipients, spam: 'PASS', virus: 'PASS' } })
const problem = (text: string) => ({ ok: false, problem: text })

test('the recipient and the verdicts are those that SES wrote', () => {
  expect(read()).toEqual(to(INBOX))
  expect(readEnvelope(head().replaceAll('\r\n', '\n'), ID)).toEqual(to(INBOX))
  expect(readEnvelope(head().replace(/^Return-Path.*\r\n/, ''), ID)).toEqual(to(INBOX))
})

test.each<[string, Parts, ReturnType<typeof readEnvelope> | object]>([
  ['a recipient in upper case', { to: INBOX.toUpperCase() }, to(INBOX)],
  ['a recipient in angle brackets', { to: `<${INBOX}>` }, to(INBOX)],
  ['two recipients', { to: `${INBOX}, other@mail.example.com` }, to(INBOX, 'other@mail.example.com')],
  ['one recipient twice', { to: `${INBOX},${INBOX}` }, to(INBOX)],
  ['the id of another message', { id: 'other' }, problem('no-envelope')],
  ['a list with something else in it', { to: `${INBOX}, "x"@mail.example.com` }, problem('no-envelope')],
  ['no verdict', { verdicts: [] }, problem('not-scanned')],
  ['the virus verdict alone', { verdicts: SCANNED.slice(1) }, problem('not-scanned')],
  [
    'a verdict that is none',
    { verdicts: ['X-SES-Spam-Verdict: FINE', ...SCANNED.slice(1)] },
    problem('not-scanned'),
  ],
])('%s', (_, parts, expected) => {
  expect(read(parts)).toEqual(expected)
})

const forged = `${BY} id ${ID} for victim@mail.example.com`

test.each<[string, Parts, object]>([
  ['To: and X-Original-To:', { message: ['To: v@x.example', 'X-Original-To: v@x.example', ''] }, to(INBOX)],
  ['a Received: of its own', { message: [`Received: from x ${forged}; ${DATE}`, ''] }, to(INBOX)],
  ['a second pair of verdicts', { verdicts: [...SCANNED, 'X-SES-Spam-Verdict: FAIL'] }, to(INBOX)],
  ['a verdict where SES gave none', { verdicts: [], message: [...SCANNED, ''] }, problem('not-scanned')],
  ['HELO that speaks of SES', { from: `x ${forged}; ${DATE}` }, problem('no-envelope')],
  ['a quoted recipient that speaks of SES', { to: `"x ${forged}"@mail.example.com` }, problem('no-envelope')],
])('the sender has no say: %s', (_, parts, expected) => {
  expect(read(parts)).toEqual(expected)
})

test('a message without SES above it has no envelope', () => {
  for (const text of ['', 'To: a@example.org\r\n\r\nhello', '\r\n', ' folded', 'Received: from x; y'])
    expect(readEnvelope(text, ID)).toEqual(problem('no-envelope'))
  expect(readEnvelope(head().replace(/ for [^;]+;/, ';'), ID)).toEqual(problem('no-envelope'))
})

test('whatever the sender writes below, the recipient stays', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), (message) => {
      expect(read({ message })).toEqual(to(INBOX))
    }),
  )
})

test('whatever the client says in HELO, the recipient is the inbox or unknown', () => {
  const text = fc.array(
    fc.constantFrom('x', ' ', ';', ',', '"', BY, `id ${ID}`, ' for ', 'v@x.example', DATE),
  )
  fc.assert(
    fc.property(text, (words) => {
      const reading = read({ from: words.join('') })
      if (reading.ok) expect(reading.envelope.recipients).toEqual([INBOX])
    }),
  )
})
