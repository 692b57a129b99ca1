// A small ledger that a real broker wrote, to be tampered with; and what an auditor finds after that.

import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import Sqlite from 'better-sqlite3'

import { parseSignedCheckpoint } from '../../src/domain/ledger/checkpoint.js'
import { leafHash } from '../../src/domain/ledger/entry.js'
import { parseVkey } from '../../src/domain/ledger/note.js'
import type { Verdict } from '../../src/domain/ledger/verify.js'
import { EsdbSource } from '../../tools/verify-ledger/sources/esdb.js'
import { startAwsBroker } from './aws-broker.js'
import { asEvent, STREAM } from './eventstoredb/ledger.js'
import { EventStoreDbHome, type LedgerHome } from './ledger-home.js'
import { signAppend } from '../../src/domain/ledger/ledger-signature.js'
import type { Signer } from '../../src/domain/ledger/note.js'
import { loadLedgerKey } from '../../src/ledger/key.js'
import { Received } from './received.js'
import { ledgerPath, type Remembered, verdictFrom, verdictOn, verifiedLedger } from './verified-ledger.js'

/** A SessionValidated in the middle of it; its JwtIssued follows. */
export const AT = 7

export interface MintedLedger {
  texts: readonly string[]
  remembered: Remembered & { expected: { size: number; head: string } }
  /** What is found in the ledger with these entries instead, put there by somebody who has the disk it is on. */
  verdictWith(texts: readonly string[], by: Remembered): Promise<Verdict>
  dispose(): Promise<void>
}

/** Two JWTs and two AWS credentials, each known to be in the ledger, which the verifier passes. */
export async function mintedLedger(openHome: () => Promise<LedgerHome>): Promise<MintedLedger> {
  const home = await openHome()
  const { aws, broker } = await startAwsBroker({ env: home.env })
  const received = new Received()
  const { session } = await broker.session()
  for (const kind of ['oidc-jwt', 'aws-creds', 'oidc-jwt', 'aws-creds'])
    received.note(await broker.post(`/v1/mint-${kind}`, session))
  const code = await broker.stop()
  await aws.close()

  const kept = mkdtempSync(join(tmpdir(), 'minted-'))
  cpSync(ledgerPath(home.folder(broker.dataDir)), ledgerPath(kept))
  const ledger = await verifiedLedger(kept)
  const state = { code, ...received.count, unexplained: received.unexplainedBy(ledger) }
  const types = ledger.types.slice(AT, AT + 2).join()
  if (JSON.stringify(state) !== '{"code":0,"jwts":2,"keys":2,"unexplained":[]}' || types !== TYPES)
    throw new Error(`this is no ledger to begin with: ${JSON.stringify(state)}, ${types}`)
  const texts = textsIn(ledgerPath(kept))
  const { vkey } = ledger.of('LedgerOpened')[0]?.data ?? {}
  const remembered = {
    expected: { size: texts.length, head: leafHash(texts.at(-1) ?? '') },
    checkpoint: parseSignedCheckpoint(readFileSync(join(broker.dataDir, 'last-checkpoint'))),
    vkey: parseVkey(vkey as string),
  }
  const signer = signerOf(broker.dataDir, remembered.vkey.name)
  await broker.dispose()
  return {
    ...{ texts, remembered },
    verdictWith: (texts, by) =>
      home instanceof EventStoreDbHome
        ? inStream(home, resigned(texts, signer), by)
        : inFile(kept, resigned(texts, signer), by),
    dispose: async () => {
      await home.dispose()
      rmSync(kept, { recursive: true })
    },
  }
}

function signerOf(dataDir: string, origin: string): Signer {
  const key = loadLedgerKey(join(dataDir, 'ledger-key.json'), origin)
  if (!key) throw new Error('the broker made no ledger key')
  return key.signer
}

/** The operator's rights include the ledger key: the end is signed again. */
function resigned(texts: readonly string[], signer: Signer): Written[] {
  const [last] = texts.slice(-1)
  if (last === undefined) return []
  const signature = signAppend({ size: texts.length, leafHash: leafHash(last) }, signer)
  return [...texts.slice(0, -1).map((text) => ({ text })), { text: last, signature }]
}

interface Written {
  text: string
  signature?: string
}

const TYPES = 'SessionValidated,JwtIssued'

function textsIn(path: string): string[] {
  const file = new Sqlite(path, { readonly: true })
  const texts = file.prepare('SELECT entry FROM ledger ORDER BY idx').pluck().all() as string[]
  file.close()
  return texts
}

/** The broker's own file, its triggers dropped. */
async function inFile(folder: string, rows: readonly Written[], by: Remembered): Promise<Verdict> {
  const path = join(folder, 'tampered.sqlite')
  cpSync(ledgerPath(folder), path)
  const file = new Sqlite(path)
  file.exec('DROP TRIGGER ledger_no_update; DROP TRIGGER ledger_no_delete; DELETE FROM ledger')
  file.exec(
    'DROP TRIGGER signed_heads_only_last; DROP TRIGGER signed_heads_no_delete; DELETE FROM signed_heads',
  )
  const insert = file.prepare('INSERT INTO ledger VALUES (?, ?)')
  const sign = file.prepare('INSERT INTO signed_heads VALUES (?, ?)')
  for (const [index, { text, signature }] of rows.entries()) {
    insert.run(index, text)
    if (signature !== undefined) sign.run(index, signature)
  }
  file.pragma('journal_mode = DELETE')
  file.close()
  const verdict = await verdictOn(path, by)
  rmSync(path)
  return verdict
}

/** The broker's own stream, as its node serves it to the auditor. */
async function inStream(
  { standIn: { database }, url }: EventStoreDbHome,
  rows: readonly Written[],
  by: Remembered,
): Promise<Verdict> {
  database.replace(
    STREAM,
    rows.map(({ text, signature }) => asEvent(text, signature)),
  )
  return verdictFrom(await EsdbSource.open(url, STREAM), by)
}
