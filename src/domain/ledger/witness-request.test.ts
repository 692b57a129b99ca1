import { createHash } from 'node:crypto'

import { expect, test } from '@jest/globals'
import fc from 'fast-check'

import { GrownTree } from '../../../test/support/grown-tree.js'
import { mutationsOf } from '../../../test/support/mutations.js'
import { refusal } from '../../../test/support/refusal.js'
import { testEntry, tlog } from '../../../test/support/tlog-vectors.js'
import { parseSignedCheckpoint } from './checkpoint.js'
import { consistencyProof, verifyConsistency } from './merkle.js'
import {
  formatSizeReply,
  formatWitnessRequest,
  parseSizeReply,
  parseWitnessRequest,
} from './witness-request.js'

const grown = new GrownTree(Array.from({ length: 7 }, (_, i) => testEntry(i)))
const [first, growth] = tlog.addCheckpoint.requests.map(({ body }) => body) as [string, string]

test('the vectors come out again from the tree and the checkpoints', () => {
  const sums = [first, growth].map((body) => createHash('sha256').update(body).digest('hex'))
  expect(sums).toEqual([
    '6ffeb9d79cfa09f97b4ac4a03a9df8dbd76889092b0f136da1a5d2dd25165609',
    '13cff495206c4077b2b4fda745022e209d5da305c28b0b0684203c5a8a7e677f',
  ])
  for (const { from, to, body } of tlog.addCheckpoint.requests) {
    const checkpoint = parseSignedCheckpoint(tlog.checkpoints[to] as string)
    const request = { oldSize: from, proof: consistencyProof(from, to, grown.read), checkpoint }
    expect(formatWitnessRequest(request)).toBe(body)
    expect(parseWitnessRequest(body)).toEqual(request)
    expect(verifyConsistency(grown.head(from), checkpoint, request.proof)).toBe(true)
  }
})

test('a quiet log may ask again at the same size', () => {
  const body = growth.replace(/^old 3\n(?:.+\n)+/, 'old 7\n')
  expect(parseWitnessRequest(body)).toMatchObject({ oldSize: 7, proof: [] })
  expect(formatWitnessRequest(parseWitnessRequest(body))).toBe(body)
})

test.each([
  ['nothing', '', 'truncated'],
  ['no checkpoint', 'old 0\n\n', 'truncated'],
  ['no blank line', 'old 0\n', 'truncated'],
  ['no old line', first.replace('old 0\n', ''), 'bad-line'],
  ['another first line', first.replace('old', 'new'), 'bad-line'],
  ['two spaces', first.replace('old 0', 'old  0'), 'bad-number'],
  ['a leading zero', growth.replace('old 3', 'old 03'), 'bad-number'],
  ['a size beyond 2^53', growth.replace('old 3', 'old 9007199254740992'), 'bad-number'],
  ['an old size above the checkpoint', growth.replace('old 3', 'old 8'), 'bad-number'],
  ['64 hashes', growth.replace(/(?<=old 3\n)(.*\n)/, '$1'.repeat(61)), 'too-large'],
  ['a hash of 33 bytes', growth.replace('BJ19', 'BJ19AA=='), 'bad-base64'],
  ['an extension line', growth.replace('WF0=\n', 'WF0=\nmore\n'), 'extension-line'],
  ['CRLF', growth.replaceAll('\n', '\r\n'), 'not-text'],
  ['the same signature twice', growth + growth.slice(growth.lastIndexOf('—')), 'duplicate'],
  ['a hash in URL base64', growth.replace(/[+/](?=.*=\n)/, '-'), 'bad-base64'],
  ['a hash without padding', growth.replace('=\n', '\n'), 'bad-base64'],
  ['a second old line', growth.replace('old 3\n', 'old 3\nold 3\n'), 'bad-base64'],
  ['an unknown line', growth.replace('old 3\n', 'new 7\nold 3\n'), 'bad-line'],
  ['200 kB', 'old 0\n'.repeat(34_000) + first, 'too-large'],
])('a request with %s is refused', (_, body, code) => {
  expect(refusal(() => parseWitnessRequest(body))).toBe(code)
})

test('63 hashes are read', () => {
  const body = growth.replace(/(?<=old 3\n)(.*\n)/, '$1'.repeat(60))
  expect(parseWitnessRequest(body).proof.length).toBe(63)
})

test('every request that is cut off is refused, but where that drops a whole signature', () => {
  for (let length = 0; length < growth.length; length++) {
    const cut = growth.slice(0, length)
    const whole = cut.endsWith('\n') && cut.includes('—')
    expect([length, refusal(() => parseWitnessRequest(cut)) === undefined]).toEqual([length, whole])
  }
})

test('what is read prints back', () => {
  fc.assert(
    fc.property(fc.oneof(mutationsOf(first), mutationsOf(growth)), (body) => {
      if (refusal(() => parseWitnessRequest(body)) !== undefined) return
      expect(formatWitnessRequest(parseWitnessRequest(body))).toBe(body)
    }),
    { numRuns: 2000 },
  )
})

test('the size of a witness reads and prints back, and nothing else is one', () => {
  for (const size of [0, 7, Number.MAX_SAFE_INTEGER]) expect(parseSizeReply(formatSizeReply(size))).toBe(size)
  expect(parseSizeReply(Buffer.from('7\n'))).toBe(7)
  for (const text of ['', '7', '07\n', '7\n\n', ' 7\n', '7 \n', '-1\n', '7\r\n', '9'.repeat(65)]) {
    expect(['truncated', 'bad-number', 'not-text', 'too-large']).toContain(
      refusal(() => parseSizeReply(text)),
    )
  }
})
