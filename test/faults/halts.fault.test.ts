// Whatever makes a broker stop minting is one error line in its log, with what to do, however often it is asked since.

import { mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, expect, test } from '@jest/globals'
import Sqlite from 'better-sqlite3'

import { chain, parseEntry } from '../../src/domain/ledger/entry.js'
import { BrokerProcess } from '../support/broker-process.js'
import { DiskImage } from '../support/disk-image.js'
import { setMetadata, STREAM } from '../support/eventstoredb/ledger.js'
import { fakeTime, setOffset } from '../support/fake-time.js'
import { EventStoreDbHome } from '../support/ledger-home.js'
import { until } from '../support/until.js'
import { ledgerPath } from '../support/verified-ledger.js'
import { WitnessedFolder } from '../support/witnessed-broker.js'

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanUps.splice(0).reverse()) await step()
})

async function started(env: Record<string, string> = {}, dataDir?: string): Promise<BrokerProcess> {
  const broker = await BrokerProcess.start({
    env: { BROKER_OIDC_ISSUER: 'https://broker.example.com', ...env },
    ...(dataDir === undefined ? {} : { dataDir }),
  })
  cleanUps.push(() => broker.dispose())
  return broker
}

/** A broker that mints, and how it is made to stop. */
interface Setting {
  broker: BrokerProcess
  halt: () => unknown
}

function moved(name: string): () => Promise<Setting> {
  return async () => {
    const broker = await started()
    const path = join(broker.dataDir, name)
    return { broker, halt: () => renameSync(path, `${path}.moved`) }
  }
}

function changedByHand(change: (db: Sqlite.Database) => void): () => Promise<Setting> {
  return async () => {
    const broker = await started()
    const halt = () => {
      const db = new Sqlite(ledgerPath(broker.dataDir))
      change(db)
      db.close()
    }
    return { broker, halt }
  }
}

function cutOff(db: Sqlite.Database): void {
  db.exec('DROP TRIGGER ledger_no_delete; DELETE FROM ledger WHERE idx > (SELECT max(idx) - 2 FROM ledger)')
}

function appendUnsigned(db: Sqlite.Database): void {
  const row = db.prepare('SELECT entry FROM ledger ORDER BY idx DESC LIMIT 1').get() as { entry: string }
  const event = {
    type: 'BrokerStarted',
    data: { node: 'another', version: '1', configSha256: 'a'.repeat(64) },
  } as const
  const { entry, text } = chain(parseEntry(row.entry), event, new Date())
  db.prepare('INSERT INTO ledger (idx, entry) VALUES (?, ?)').run(entry.index, text)
}

async function failingSyncs(): Promise<Setting> {
  const disk = new DiskImage()
  cleanUps.push(() => disk.remove())
  const broker = await started(disk.env, disk.path)
  return { broker, halt: () => disk.failSyncs('ledger.sqlite') }
}

async function jumpingClock(): Promise<Setting> {
  const folder = mkdtempSync(join(tmpdir(), 'agentkeys-clock-'))
  cleanUps.push(() => rmSync(folder, { recursive: true }))
  const broker = await started(fakeTime(join(folder, 'offset')))
  return { broker, halt: () => setOffset(join(folder, 'offset'), '+20y') }
}

async function eventStoreDb(metadata: object): Promise<Setting> {
  const home = await EventStoreDbHome.open()
  cleanUps.push(() => home.dispose())
  const broker = await started(home.env)
  return { broker, halt: () => setMetadata(home.standIn.database, STREAM, metadata) }
}

async function contradictingWitness(): Promise<Setting> {
  const folder = await WitnessedFolder.open(1, 1)
  cleanUps.push(() => folder.dispose())
  const broker = await started(folder.env, folder.dataDir)
  const larger = { size: 1_000, root: new Uint8Array(32).fill(7) }
  const halt = () => Object.assign(folder.witness(1), { latest: larger, shown: folder.signed(larger) })
  return { broker, halt }
}

const VERIFY = /run verify-ledger, then restore/

test.each<[string, () => Promise<Setting>, RegExp, RegExp]>([
  ['syncs of the ledger fail', failingSyncs, /an append is in doubt.*I\/O/, /See that the disk.* works/],
  [
    'ledger.sqlite is moved away',
    moved('ledger.sqlite'),
    /ledger\.sqlite was removed, moved or/,
    /put the file back/,
  ],
  [
    'its -wal is moved away',
    moved('ledger.sqlite-wal'),
    /ledger\.sqlite-wal was removed/,
    /put the file back/,
  ],
  ['the lock is moved away', moved('lock'), /lock was removed/, /see that one broker at most runs/],
  ['the end of the ledger is deleted', changedByHand(cutOff), /fewer than the \d+ entries it had/, VERIFY],
  [
    'an entry is there that no broker signed',
    changedByHand(appendUnsigned),
    /not signed by a holder/,
    VERIFY,
  ],
  ['the clock jumps', jumpingClock, /the system clock says/, /correct the clock/],
  [
    'the right to read the ledger is taken away',
    () => eventStoreDb({ $acl: { $r: '$admins' } }),
    /may not read the ledger/,
    /runs agentkeys-broker init-eventstore/,
  ],
  [
    'the stream is truncated',
    () => eventStoreDb({ $tb: 2 }),
    /its metadata says \$tb 2/,
    /an administrator takes \$tb.*out.*verify-ledger/,
  ],
  [
    'a witness shows a larger tree',
    contradictingWitness,
    /witness w1 shows a larger tree/,
    /run verify-ledger, restore the ledger, then move that file away/,
  ],
])('%s: one error line that says what to do', async (_what, setting, said, remedy) => {
  const { broker, halt } = await setting()
  const { session } = await broker.session()
  const mint = async () => (await broker.post('/v1/mint-oidc-jwt', session)).status
  expect(await mint()).toBe(200)
  await halt()
  const errors = () => broker.log.split('\n').filter((line) => line.includes('"level":"error"'))
  await until(
    async () => (await mint()) !== 200 && errors().some((line) => said.test(line)),
    () => `no such line, but ${errors().join('\n')}`,
  )
  for (let turn = 0; turn < 3; turn += 1) {
    expect(await mint()).toBeGreaterThanOrEqual(500)
    expect((await broker.get('/readyz')).status).toBe(503)
  }
  const lines = errors().filter((line) => said.test(line))
  expect(lines).toEqual([expect.stringMatching(remedy)])
})
