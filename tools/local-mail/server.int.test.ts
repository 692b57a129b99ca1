import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { simpleParser } from 'mailparser'
import { createTransport } from 'nodemailer'

import { readEnvelope } from '../../src/domain/mail/envelope.js'
import { type LocalMail, SPAM, startLocalMail, VIRUS } from './server.js'

const INBOX = 'bot-0123456789abcdef@mail.example.com'

let mail: LocalMail
const stored = new Map<string, Buffer>()
beforeEach(async () => {
  stored.clear()
  mail = await startLocalMail({
    domain: 'mail.example.com',
    store: (id, message) => void stored.set(id, message),
  })
})
afterEach(() => mail.close())

function send(to: string | string[], text = 'hello', subject = 'Hi') {
  const { host, port } = mail
  return createTransport({ host, port, ignoreTLS: true }).sendMail({
    from: 'a@example.org',
    to,
    subject,
    text,
  })
}

const envelopes = () => [...stored].map(([id, message]) => readEnvelope(message.toString('latin1'), id))

test('the mail router reads what it writes, and a MIME parser the rest', async () => {
  const subject =
    'Grüße, und ein Betreff der so lang ist, dass er in mehrere Zeilen gefaltet wird, wirklich sehr lang'
  await send(INBOX, 'Straße 123456', subject)
  expect(envelopes()).toEqual([{ ok: true, envelope: { recipients: [INBOX], spam: 'PASS', virus: 'PASS' } }])
  const parsed = await simpleParser([...stored.values()][0] ?? '')
  expect([parsed.subject, parsed.text?.trim()]).toEqual([subject, 'Straße 123456'])
})

test.each([
  ['spam', SPAM, { spam: 'FAIL', virus: 'PASS' }],
  ['a virus', VIRUS, { spam: 'PASS', virus: 'FAIL' }],
])('%s has its verdict', async (_, text, verdicts) => {
  await send(INBOX, text)
  expect(envelopes()).toEqual([{ ok: true, envelope: { recipients: [INBOX], ...verdicts } }])
})

test('of several recipients all are named or none', async () => {
  const both = [INBOX, 'bot-1@mail.example.com']
  await send(both)
  mail.behave({ naming: 'all' })
  await send(both)
  expect(envelopes()).toEqual([
    { ok: false, problem: 'no-envelope' },
    { ok: true, envelope: { recipients: both, spam: 'PASS', virus: 'PASS' } },
  ])
})

test('mail for another domain, and more than 40 MB, are refused', async () => {
  await expect(send('a@example.net')).rejects.toThrow('550')
  await expect(send(INBOX, 'x'.repeat(76).concat('\n').repeat(600_000))).rejects.toThrow('552')
  expect(stored.size).toBe(0)
})

test('a store that fails is a temporary failure for the sender', async () => {
  await mail.close()
  mail = await startLocalMail({
    domain: 'mail.example.com',
    store: () => Promise.reject(new Error('S3 is down')),
  })
  await expect(send(INBOX)).rejects.toThrow('451')
})
