import { createPublicKey, verify as verifySignature } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { describe, expect, test } from '@jest/globals'

import { LedgerSignatures } from '../src/domain/ledger/ledger-signature.js'
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

describe('a signature of the ledger key', () => {
  const signaturesOf = (vkey: string) => new LedgerSignatures(parseVkey(vkey))

  test.each(vectors.signatures.appends)('over an append: $name', ({ vkey, signature, good, ...head }) => {
    expect(signaturesOf(vkey).isOfAppend(head, signature)).toBe(good)
  })
  test.each(vectors.signatures.keys)('over a signing key: $name', ({ vkey, signature, good, ...key }) => {
    expect(signaturesOf(vkey).isOfKey(key, signature)).toBe(good)
  })

  test('checked as docs/ledger-format.md says it, without our code', () => {
    const { appends, keys } = vectors.signatures
    for (const { vkey, size, leafHash, signature, good } of appends)
      expect(verifies(vkey, ['append/v1', originOf(vkey), size, leafHash], signature)).toBe(good)
    for (const { vkey, kid, thumbprint, state, signature, good } of keys)
      expect(verifies(vkey, ['signing-key/v1', originOf(vkey), kid, thumbprint, state], signature)).toBe(good)
  })
})

const originOf = (vkey: string) => vkey.split('+')[0] ?? ''

function verifies(vkey: string, [name, ...lines]: (string | number)[], signature: string): boolean {
  // The vkey's last part is a type byte and the Ed25519 key, in base64, which may hold a plus.
  const raw = Buffer.from(vkey.split('+').slice(2).join('+'), 'base64').subarray(1)
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw])
  const key = createPublicKey({ key: der, format: 'der', type: 'spki' })
  const statement = [`agentkeys-broker/${name}`, ...lines].map((line) => `${line}\n`).join('')
  return verifySignature(null, Buffer.from(statement), key, Buffer.from(signature, 'base64'))
}

describe('a receipt', () => {
  test.each(vectors.receipts)('$name', ({ vkey, receipt, jwt, problem }) => {
    const policy = { logs: [{ key: parseVkey(vkey) }], witnesses: [], groups: [], quorum: 'none' }
    const verdict = verifyReceipt(parseProof(receipt), policy, { jwt })
    expect(verdict.ok ? null : verdict.problem).toBe(problem)
  })
})
