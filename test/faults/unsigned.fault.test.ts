// Another program may write to the ledger's file, and to the read model. It is no broker, and nothing comes of it.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from '@jest/globals'
import Sqlite from 'better-sqlite3'

import { chain, parseEntry } from '../../src/domain/ledger/entry.js'
import type { EventData, LedgerEvent } from '../../src/domain/ledger/events.js'
import { loadLedgerKey } from '../../src/ledger/key.js'
import { adopt, findUnsigned } from '../../src/ledger/adopt.js'
import { migrateLedger } from '../../src/ledger/migrate.js'
import { MemoryEventStore } from '../../src/event-store/memory.js'
import { SqliteEventStore } from '../../src/event-store/sqlite.js'
import { BrokerProcess } from '../support/broker-process.js'
import { LedgerBuilder } from '../support/ledger-builder.js'
import { refusedStart } from '../support/refused-start.js'
import { until } from '../support/until.js'
import { ledgerPath, verdictOn } from '../support/verified-ledger.js'

let broker: BrokerProcess
beforeEach(async () => {
  broker = await BrokerProcess.start()
})
afterEach(() => broker.dispose())

const rogue = new LedgerBuilder(7).jwk('rogue')
const ROGUE_KEY: LedgerEvent = {
  type: 'SigningKeyPublished',
  data: { kid: 'rogue', alg: 'ES256', jwk: rogue } satisfies EventData['SigningKeyPublished'],
}

/** What any program can do that may write to the file: the entry follows, its link and its hash are right. */
function appendByHand(path: string): number {
  const file = new Sqlite(path)
  const { entry } = file.prepare('SELECT entry FROM ledger ORDER BY idx DESC LIMIT 1').get() as {
    entry: string
  }
  const next = chain(parseEntry(entry), ROGUE_KEY, new Date())
  file.prepare('INSERT INTO ledger VALUES (?, ?)').run(next.entry.index, next.text)
  file.close()
  return next.entry.index
}

async function kids(): Promise<string[]> {
  const { keys } = (await (await fetch(`${broker.url}/.well-known/jwks.json`)).json()) as {
    keys: { kid: string }[]
  }
  return keys.map(({ kid }) => kid)
}

test('a chained key that a program puts into ledger.sqlite is not served, stops minting and the next start, and is found', async () => {
  const path = ledgerPath(broker.dataDir)
  const own = await kids()
  const { session } = await broker.session()
  const index = appendByHand(path)
  await until(async () => (await fetch(`${broker.url}/readyz`)).status === 503)
  expect(await kids()).toEqual(own)
  expect((await broker.post('/v1/mint-oidc-jwt', session)).status).toBe(503)
  await broker.stop()
  const { code, reason } = await refusedStart(broker.options)
  expect([code, reason]).toEqual([1, expect.stringMatching(/not signed by a holder.*adopt-ledger/)])

  const { findingsByKind, findings } = await verdictOn(path)
  expect(findingsByKind).toEqual({ 'key-not-signed': 1, 'unsigned-entries': 1 })
  expect(findings.map((found) => found.index)).toEqual([index, index])

  const store = new SqliteEventStore(path)
  await expect(migrateLedger({ from: store, to: new MemoryEventStore() })).rejects.toThrow('is not signed')
  // Deliberately, by who holds the key.
  const { vkey } = JSON.parse(readFileSync(join(broker.dataDir, 'ledger-key.json'), 'utf8')) as {
    vkey: string
  }
  const { signer } = loadLedgerKey(join(broker.dataDir, 'ledger-key.json'), vkey.split('+')[0]!)!
  const unsigned = await findUnsigned(store, signer)
  expect(unsigned).toMatchObject({ from: index, keys: [{ kid: 'rogue', state: 'published' }] })
  await adopt(store, unsigned!, { signer, software: 'test', now: new Date() })
  expect(await findUnsigned(store, signer)).toBeUndefined()
  await store.close()
  expect((await verdictOn(path)).findings).toEqual([])
})

test('a key that a program puts into audit.sqlite before a start is not served', async () => {
  const own = await kids()
  await broker.stop()
  const file = new Sqlite(join(broker.dataDir, 'audit.sqlite'))
  const [row] = file.prepare('SELECT * FROM signing_keys').all() as Record<string, unknown>[]
  const columns = Object.keys(row!)
  const forged = { ...row, kid: 'rogue', jwk: JSON.stringify(rogue) }
  const sql = `INSERT INTO signing_keys (${columns.join()}) VALUES (${columns.map((name) => `@${name}`).join()})`
  file.prepare(sql).run(forged)
  file.close()
  broker = await broker.restart()
  expect(await kids()).toEqual(own)
})
