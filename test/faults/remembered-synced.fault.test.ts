// What is remembered beside the ledger, on a disk whose syncs fail: last-checkpoint and read models. Mints do not wait for
// either; what the disk holds of them stays whole, and is written again once it can be synced.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { parseSignedCheckpoint } from '../../src/domain/ledger/checkpoint.js'
import { LedgerSignatures } from '../../src/domain/ledger/ledger-signature.js'
import { parseVkey } from '../../src/domain/ledger/note.js'
import { SqliteEventStore } from '../../src/event-store/sqlite.js'
import { Projector } from '../../src/projections/projector.js'
import { KeysView } from '../../src/projections/signing-keys.js'
import { BrokerProcess } from '../support/broker-process.js'
import { DiskImage } from '../support/disk-image.js'
import { dump } from '../support/project.js'
import { type MintReply, Received } from '../support/received.js'
import { until } from '../support/until.js'
import { ledgerPath, verifiedLedger } from '../support/verified-ledger.js'

let disk: DiskImage
let broker: BrokerProcess
let session: string
let received: Received

beforeEach(async () => {
  received = new Received()
  disk = new DiskImage()
  const env = { ...disk.env, BROKER_OIDC_ISSUER: 'https://broker.example.com' }
  broker = await BrokerProcess.start({ dataDir: disk.path, env })
  ;({ session } = await broker.session())
})
afterEach(async () => {
  await broker.stop('SIGKILL')
  expect(received.unexplainedBy(await verifiedLedger(disk.path))).toEqual([])
  disk.remove()
})

/** Resolves with the size of the ledger behind the mint. */
async function mint(): Promise<number> {
  const reply: MintReply = await broker.post('/v1/mint-oidc-jwt', session)
  received.note(reply)
  expect(reply.status).toBe(200)
  return (reply.body.ledger?.index ?? -1) + 1
}

async function cutPower(): Promise<void> {
  await broker.stop('SIGKILL')
  disk.cutPower()
}

const lastCheckpoint = () => readFileSync(join(disk.path, 'last-checkpoint'))
const remembers = (size: number) =>
  until(
    () => parseSignedCheckpoint(lastCheckpoint()).size >= size,
    () => `last-checkpoint is ${lastCheckpoint().toString()}`,
  )

test('while last-checkpoint cannot be synced, the old one stays and mints go on; then the newest is kept', async () => {
  await remembers(await mint())
  const kept = lastCheckpoint()
  disk.failSyncs('last-checkpoint')
  const size = Math.max(await mint(), await mint())
  await until(
    () => broker.log.includes('last-checkpoint'),
    () => `nothing is said:\n${broker.log}`,
  )
  expect(broker.log).toMatch(
    /"level":"error".*last-checkpoint cannot be written \(EIO\): see that its disk works/,
  )
  expect(lastCheckpoint()).toEqual(kept)
  disk.heal()
  await remembers(size)
  expect(broker.log.match(/last-checkpoint cannot be written/g)).toHaveLength(1)
  await cutPower()
  expect(parseSignedCheckpoint(lastCheckpoint()).size).toBeGreaterThanOrEqual(size)
  broker = await broker.restart()
  await mint()
})

test('a failed sync of the read models is said, and what was in doubt is written again before it is built upon', async () => {
  disk.failSyncs('audit.sqlite-wal')
  await until(
    async () => {
      await Promise.all(Array.from({ length: 20 }, mint))
      return broker.log.includes('read models are behind')
    },
    () => `nothing is said:\n${broker.log}`,
  )
  expect(broker.log).toContain(`${join(disk.path, 'audit.sqlite')}: disk I/O error`)
  const { body } = await broker.get<{ projections_ok: boolean }>('/readyz')
  expect(body.projections_ok).toBe(false)

  disk.heal()
  await broker.becomesReady()
  await mint()
  await cutPower()
  broker = await broker.restart()
  expect(await broker.stop()).toBe(0)
  expect(dump(join(disk.path, 'audit.sqlite'))).toEqual(dump(await replayed()))
})

/** Read models that were made of the ledger in one go. */
async function replayed(): Promise<string> {
  const readModelPath = join(disk.path, 'replayed.sqlite')
  const { vkey } = JSON.parse(readFileSync(join(disk.path, 'ledger-key.json'), 'utf8')) as { vkey: string }
  const ledgerKey = parseVkey(vkey)
  const store = new SqliteEventStore(ledgerPath(disk.path))
  const keys = new KeysView(() => new Date(), new LedgerSignatures(ledgerKey))
  const log = { info: () => undefined, warn: console.error, error: console.error }
  const projector = new Projector(store, keys, { readModelPath, trust: { ledgerKey }, log })
  await projector.start()
  await projector.caughtUpTo(await store.size())
  await projector.stop()
  await store.close()
  return readModelPath
}
