import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, expect, test } from '@jest/globals'

import { tlog } from '../../test/support/tlog-vectors.js'
import { formatPolicy } from '../domain/ledger/policy.js'
import { parseVkey } from '../domain/ledger/note.js'
import { readWitnessPolicy } from './witness-policy.js'

const dir = mkdtempSync(join(tmpdir(), 'policy-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const KEY = parseVkey(tlog.keys.log.vkey)
const LOG = `log ${tlog.keys.log.vkey}`
const W1 = `witness w1 ${tlog.keys.w1.vkeyCosig}`
const W2 = `witness w2 ${tlog.keys.w2.vkeyCosig} https://witness.example/w2`
const URL1 = 'https://witness.example/w1'

function read(lines: string[], gated = true) {
  const path = join(dir, 'policy')
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''))
  return readWitnessPolicy(path, KEY, gated)
}

test('a policy with this log, witnesses with URLs and a quorum is taken as it is', () => {
  const lines = [LOG, `${W1} ${URL1}`, W2, 'group both all w1 w2', 'quorum both']
  expect(formatPolicy(read(lines))).toBe(lines.map((line) => `${line}\n`).join(''))
})

test('a quorum of none will do where nothing waits for it', () => {
  const lines = [LOG, W2, 'quorum none']
  expect(read(lines, false).quorum).toBe('none')
  expect(() => read(lines)).toThrow(/its quorum is none.*BROKER_RELEASE_REQUIRES/)
})

test.each([
  ['no log', [W2, 'quorum w2'], `add "${LOG}"`],
  [
    'another log',
    ['log log.example.org+0a72cd63+AV2yLmzeBL9B3zFJNqal0JuqxiFve0m/eqmT1+KkLVeC', W2, 'quorum w2'],
    LOG,
  ],
  ['no witness', [LOG, 'quorum none'], 'names no witness'],
  ['a witness without URL', [LOG, W1, 'quorum w1'], 'witness w1 has no URL'],
  ['a URL with a password', [LOG, `${W1} https://ann:secret@witness.example`, 'quorum w1'], 'no user, query'],
  ['a URL with a query', [LOG, `${W1} ${URL1}?key=secret`, 'quorum w1'], 'no user, query or fragment'],
  ['an unknown line', [LOG, W2, 'quorum w2', 'quorums w2'], 'policy line 4'],
])('a policy with %s is refused, by its path and without what it says', (_, lines, message) => {
  expect(() => read(lines)).toThrow(`BROKER_WITNESS_POLICY ${join(dir, 'policy')}: `)
  expect(() => read(lines)).toThrow(message)
  expect(() => read(lines)).not.toThrow(/secret/)
})

test('a file that is not there is named', () => {
  expect(() => readWitnessPolicy(join(dir, 'none'), KEY, false)).toThrow(
    `BROKER_WITNESS_POLICY ${join(dir, 'none')}: cannot be read (ENOENT)`,
  )
})
