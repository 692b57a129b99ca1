import { describe, expect, test } from '@jest/globals'

import { base64, testEntry, tlog, unhex } from '../../test/support/tlog-vectors.js'
import { GrownTree } from '../../test/support/grown-tree.js'
import { parseSignedCheckpoint } from '../domain/ledger/checkpoint.js'
import { cosign } from '../domain/ledger/cosignature.js'
import { formatSignatures, parseVkey, signerFromSeed } from '../domain/ledger/note.js'
import { readAnswer, type WitnessProblem } from './witness-answer.js'
import type { WitnessAnswer } from './witness-connection.js'

const KEY = parseVkey(tlog.keys.w1.vkeyCosig)
const CHECKPOINT = parseSignedCheckpoint(tlog.checkpoints['7'] as string)
const GROWS = { oldSize: 3, proof: [], checkpoint: CHECKPOINT }
const REFRESHES = { ...GROWS, oldSize: 7 }
const SIZE = 'text/x.tlog.size'

const answer = (status: number, body = '', more: Partial<WitnessAnswer> = {}): WitnessAnswer => ({
  status,
  mediaType: '',
  retryAfter: '',
  body: new TextEncoder().encode(body),
  ...more,
})
const problem = (kind: WitnessProblem, detail: unknown = expect.any(String), retryAfterMs = 0) => ({
  kind: 'problem',
  problem: kind,
  detail,
  retryAfterMs,
})

describe('200', () => {
  const other = signerFromSeed(tlog.keys.w2.name, 'cosignature', unhex(tlog.keys.w2.seedHex))
  const signer = signerFromSeed(tlog.keys.w1.name, 'cosignature', unhex(tlog.keys.w1.seedHex))

  test('with the published cosignature is cosigned at its time', () => {
    const reading = readAnswer(answer(200, tlog.cosignature.line), GROWS, KEY)
    expect(reading).toMatchObject({ kind: 'cosigned', time: tlog.cosignature.time })
    if (reading.kind !== 'cosigned') throw new Error('unreachable')
    expect(formatSignatures([reading.cosignature])).toBe(tlog.cosignature.line)
  })

  test('keeps the one line of its key, among lines of others that verify or not', () => {
    const garbage = `— log.example ${base64(new Uint8Array(80))}\n`
    const lines = formatSignatures([
      cosign(CHECKPOINT.note.text, other, 5),
      cosign(CHECKPOINT.note.text, signer, 6),
    ])
    const reading = readAnswer(answer(200, garbage + lines), GROWS, KEY)
    expect(reading).toMatchObject({ kind: 'cosigned', time: 6, cosignature: { name: KEY.name, id: KEY.id } })
  })

  test('with no line of its key is no cosignature', () => {
    const lines = formatSignatures([cosign(CHECKPOINT.note.text, other, 5)])
    expect(readAnswer(answer(200, lines), GROWS, KEY)).toEqual(
      problem('bad-answer', 'no line of its answer is of its key'),
    )
  })

  test('with a cosignature of another tree is none', () => {
    const tree = new GrownTree([testEntry(1)])
    const text = `broker.example/ledger\n1\n${base64(tree.rootAt(1))}\n`
    expect(readAnswer(answer(200, formatSignatures([cosign(text, signer, 5)])), GROWS, KEY)).toEqual(
      problem('bad-answer', 'its cosignature does not verify'),
    )
  })

  test.each([
    [''],
    ['ok'],
    ['<html>'],
    ['\u0000'],
    [tlog.cosignature.line.trimEnd()],
    [`${tlog.cosignature.line}\n`],
  ])('with the body %j is an answer that cannot be read', (body) => {
    expect(readAnswer(answer(200, body), GROWS, KEY)).toEqual(
      problem('bad-answer', expect.stringMatching(/^its answer cannot be read: sign/)),
    )
  })
})

describe('409', () => {
  test('with a size says where the witness is, smaller or larger than what it was asked from ', () => {
    for (const size of [0, 2, 5, 7, 8, 2 ** 53 - 1]) {
      expect(readAnswer(answer(409, `${size}\n`, { mediaType: SIZE }), GROWS, KEY)).toEqual({
        kind: 'at-size',
        size,
      })
    }
  })

  test('with the size it was asked from makes no sense, unless only the root is left to differ', () => {
    expect(readAnswer(answer(409, '3\n', { mediaType: SIZE }), GROWS, KEY)).toMatchObject({
      problem: 'bad-answer',
    })
    expect(readAnswer(answer(409, '7\n', { mediaType: SIZE }), REFRESHES, KEY)).toEqual({
      kind: 'contradiction',
      contradiction: 'root-mismatch',
    })
  })

  test.each([['7'], ['07\n'], ['-1\n'], ['7\n7\n'], [''], ['9007199254740992\n']])(
    'with the size %j cannot be read',
    (body) => {
      expect(readAnswer(answer(409, body, { mediaType: SIZE }), GROWS, KEY)).toEqual(
        problem('bad-answer', expect.stringMatching(/^its answer cannot be read: tlog size/)),
      )
    },
  )
})

const PLAIN = { mediaType: 'text/plain' }

test.each([{}, PLAIN])('422 with %j is a fork, or another root at the same size', (type) => {
  expect(readAnswer(answer(422, 'bad proof\n', type), GROWS, KEY)).toEqual({
    kind: 'contradiction',
    contradiction: 'fork',
  })
  expect(readAnswer(answer(422, '', type), REFRESHES, KEY)).toEqual({
    kind: 'contradiction',
    contradiction: 'root-mismatch',
  })
})

test('409 without a size is another root at the same size, and nothing else', () => {
  expect(readAnswer(answer(409, '7\n', PLAIN), REFRESHES, KEY)).toEqual({
    kind: 'contradiction',
    contradiction: 'root-mismatch',
  })
  expect(readAnswer(answer(409, '7\n', PLAIN), GROWS, KEY)).toMatchObject({ problem: 'bad-answer' })
})

test('422 to a request from nothing proves nothing: no proof was sent', () => {
  expect(readAnswer(answer(422), { ...GROWS, oldSize: 0 }, KEY)).toMatchObject({ problem: 'bad-answer' })
})

test.each([
  [409, 'text/html', 'conflict'],
  [422, 'text/html', 'unprocessable'],
  [422, 'application/json', '{"error":"unprocessable"}'],
  [422, 'text/plain', '\n <html>'],
  [422, '', '<!DOCTYPE html>'],
  [422, '', '{"error":"unprocessable"}'],
])("%d of %j with the body %j is a proxy's, and no contradiction", (status, mediaType, body) => {
  for (const request of [GROWS, REFRESHES]) {
    expect(readAnswer(answer(status, body, { mediaType }), request, KEY)).toMatchObject({
      problem: 'bad-answer',
    })
  }
})

test.each([
  [400, 'refused-request'],
  [403, 'key-not-trusted'],
  [404, 'not-enrolled'],
  [429, 'overloaded'],
  [500, 'overloaded'],
  [503, 'overloaded'],
  [201, 'bad-answer'],
  [204, 'bad-answer'],
  [301, 'bad-answer'],
  [307, 'bad-answer'],
  [401, 'bad-answer'],
  [405, 'bad-answer'],
  [413, 'bad-answer'],
] as const)('%d is a problem of the kind %s', (status, kind) => {
  expect(readAnswer(answer(status, tlog.cosignature.line), GROWS, KEY)).toEqual(
    problem(kind, expect.stringContaining(String(status))),
  )
})

test('a Retry-After in seconds is heard with 429 and 5xx, and no other form of it', () => {
  const after = (status: number, retryAfter: string) =>
    readAnswer(answer(status, '', { retryAfter }), GROWS, KEY)
  expect(after(429, '7')).toMatchObject({ retryAfterMs: 7000 })
  expect(after(503, '120')).toMatchObject({ retryAfterMs: 120_000 })
  for (const form of ['-1', '1.5', '1e3', 'Fri, 20 Nov 2026 12:00:00 GMT', '']) {
    expect(after(429, form)).toMatchObject({ retryAfterMs: 0 })
  }
})
