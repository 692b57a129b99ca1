// A key or token file whose durability is unknown: its sync failed, or its folder's, when it was made or later. No broker
// builds on it before a sync of both has succeeded.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { DiskImage } from '../support/disk-image.js'
import { refusedStart } from '../support/refused-start.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const SECRETS = ['oidc-keypair.json', 'auditor-token', 'operator-token', 'ledger-key.json']

let disk: DiskImage
beforeEach(() => {
  disk = new DiskImage()
})
afterEach(() => disk.remove())

const options = () => ({
  dataDir: disk.path,
  env: { ...disk.env, BROKER_OIDC_ISSUER: 'https://broker.example.com' },
})

async function mintsAndEnds(): Promise<void> {
  const broker = await BrokerProcess.start(options())
  const { session } = await broker.session()
  expect(await broker.post('/v1/mint-oidc-jwt', session)).toMatchObject({ status: 200 })
  expect(await broker.stop()).toBe(0)
}

test('files that were made in a folder that cannot be synced are not believed by the next start, nor are copies left', async () => {
  disk.failSyncs('./')
  // Each start gets one file further at most, if it believes the one before.
  for (let start = 0; start < 3; start += 1) {
    const { code, reason } = await refusedStart(options())
    expect(code).toBe(1)
    expect(reason).toContain(`${disk.path} cannot be synced (EIO)`)
    expect(reason).toContain('see that its disk works')
  }
  expect(
    readdirSync(disk.path).filter((name) => SECRETS.some((secret) => name.startsWith(`${secret}.`))),
  ).toEqual([])
  expect(readdirSync(disk.path)).not.toContain('ledger.sqlite')
  disk.heal()
  await mintsAndEnds()
  await verifiedLedger(disk.path)
})

test('a file that is there and cannot be synced is named, and the start refused until it can', async () => {
  await mintsAndEnds()
  const { entries } = await verifiedLedger(disk.path)
  for (const name of ['./', ...SECRETS]) {
    disk.failSyncs(name)
    const { code, reason } = await refusedStart(options())
    expect(code).toBe(1)
    expect(reason).toContain(
      `${join(disk.path, name === './' ? 'oidc-keypair.json' : name)}: cannot be believed`,
    )
    expect(reason).toContain('cannot be synced (EIO)')
    expect((await verifiedLedger(disk.path)).entries).toEqual(entries)
  }
  disk.heal()
  await mintsAndEnds()
  await verifiedLedger(disk.path)
})
