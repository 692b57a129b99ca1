import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { describe, expect, test } from '@jest/globals'

import { parseVkey } from '../src/domain/ledger/note.js'
import { parseProof } from '../src/domain/ledger/proof.js'
import { verifyReceipt } from '../src/domain/ledger/receipt.js'
import { verifyLedger } from '../src/domain/ledger/verify.js'
import { openSource } from '../tools/verify-ledger/sources/open.js'
import { verify } from '../tools/verify-ledger/verification.js'

import { type LedgerVectors, ledgerVectors } from './support/ledger-vectors.js'
import { readVectors } from './support/tlog-vectors.js'

const vectors = readVectors<LedgerVectors>('ledgers.json')

test('the vectors are those that the generator makes', () => {
  expect(ledgerVectors()).toEqual(vectors)
})

describe('a ledger', () => {
  test.each(vectors.ledgers)('$name', ({ entries, head, findings }) => {
    const verdict = verifyLedger(entries)
    expect(verdict.findings.map(({ index, kind }) => [index, kind])).toEqual(findings)
    expect(verdict).toMatchObject({ head, size: entries.length, ok: findings.length === 0 })
  })
})

describe('a log', () => {
  test.each(vectors.logs)('$name', async ({ vkey, files, root, findings }) => {
    const path = mkdtempSync(join(tmpdir(), 'vectors-'))
    try {
      for (const [name, base64] of Object.entries(files)) {
        mkdirSync(dirname(join(path, name)), { recursive: true })
        writeFileSync(join(path, name), Buffer.from(base64, 'base64'))
      }
      const source = await openSource({ kind: 'directory', path })
      const outcome = await verify(source, { vkey: parseVkey(vkey), statePath: 'none' })
      expect(outcome.verdict.findings.map(({ index, kind }) => [index, kind])).toEqual(findings)
      if (findings.length === 0) expect(Buffer.from(outcome.root!).toString('base64')).toBe(root)
    } finally {
      rmSync(path, { recursive: true })
    }
  })
})

describe('a receipt', () => {
  test.each(vectors.receipts)('$name', ({ vkey, receipt, jwt, problem }) => {
    const policy = { logs: [{ key: parseVkey(vkey) }], witnesses: [], groups: [], quorum: 'none' }
    const verdict = verifyReceipt(parseProof(receipt), policy, { jwt })
    expect(verdict.ok ? null : verdict.problem).toBe(problem)
  })
})
