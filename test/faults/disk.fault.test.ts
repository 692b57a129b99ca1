// No space, and no right to write: before the start and under a running broker.

import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { DISKS, type LimitedFolder } from '../support/full-disk.js'
import { type MintReply, Received } from '../support/received.js'
import { refusedStart } from '../support/refused-start.js'
import { until } from '../support/until.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const env = { BROKER_OIDC_ISSUER: 'https://broker.example.com' }

if (DISKS.length === 1) test.skip('a file system without space: this user may not mount one', () => {})

describe.each(DISKS)('$name', (disk) => {
  let folder: LimitedFolder
  let broker: BrokerProcess
  let received: Received

  beforeEach(async () => {
    received = new Received()
    folder = disk.folder()
    broker = await BrokerProcess.start({ dataDir: folder.path, env })
  })
  afterEach(async () => {
    await broker.stop('SIGKILL')
    folder.remove()
  })

  async function mint(bearer: string): Promise<MintReply> {
    const reply: MintReply = await broker.post('/v1/mint-oidc-jwt', bearer)
    received.note(reply)
    return reply
  }

  async function issuerDocuments(): Promise<unknown[]> {
    const replies = await Promise.all(
      ['openid-configuration', 'jwks.json'].map((name) => broker.get(`/.well-known/${name}`)),
    )
    return replies.map(({ status, body }) => ({ status, body }))
  }

  test('while the broker runs: nothing is handed out, the issuer answers, and with space it goes on by itself', async () => {
    const { session } = await broker.session()
    expect(await mint(session)).toMatchObject({ status: 200 })
    const documents = await issuerDocuments()

    folder.fill(broker.pid)
    const refused = await Promise.all(Array.from({ length: 20 }, () => mint(session)))
    for (const { status, body, headers } of refused) {
      expect([status, Object.keys(body)]).toEqual([503, ['error', 'message', 'reason']])
      expect(headers.get('retry-after')).toBe('1')
    }
    // Trouble is forgotten where no one mints.
    await until(
      async () => {
        expect(await mint(session)).toMatchObject({ status: 503 })
        const { status, body } = await broker.get<{ ledger_ok: boolean }>('/readyz')
        return status === 503 && !body.ledger_ok
      },
      () => 'it stays ready',
    )
    expect(await issuerDocuments()).toEqual(documents)

    folder.free(broker.pid)
    await broker.becomesReady()
    expect(await mint(session)).toMatchObject({ status: 200 })
    expect(await broker.stop()).toBe(0)
    expect(received.unexplainedBy(await verifiedLedger(folder.path))).toEqual([])
  })

  test('at the start: refused with the reason, and the same folder starts when there is space', async () => {
    const { session } = await broker.session()
    expect(await mint(session)).toMatchObject({ status: 200 })
    expect(await broker.stop()).toBe(0)
    const { entries } = await verifiedLedger(folder.path)

    folder.fill()
    const { code, reason } = await refusedStart({ ...broker.options, under: folder.under() })
    expect(code).toBe(1)
    expect(reason).toMatch(/BROKER_DATA_DIR/)
    expect(reason).toMatch(/space|full/)
    folder.free()
    expect((await verifiedLedger(folder.path)).entries).toEqual(entries)

    broker = await broker.restart()
    expect(await mint(session)).toMatchObject({ status: 200 })
    expect(await broker.stop()).toBe(0)
    expect(received.unexplainedBy(await verifiedLedger(folder.path))).toEqual([])
  })
})

test('a folder that may not be written to is refused by name, and nothing in it is touched', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'agentkeys-'))
  // Root may write everywhere, unless that right is taken from it.
  const under = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search'] : []
  try {
    const broker = await BrokerProcess.start({ dataDir, env })
    expect(await broker.stop()).toBe(0)
    const { entries } = await verifiedLedger(dataDir)
    chmodSync(dataDir, 0o500)
    const { code, reason } = await refusedStart({ dataDir, env, under })
    expect(code).toBe(1)
    expect(reason).toContain(`BROKER_DATA_DIR ${dataDir}: cannot be used (EACCES)`)
    expect(reason).toContain('make it writable')
    chmodSync(dataDir, 0o700)
    expect((await verifiedLedger(dataDir)).entries).toEqual(entries)
  } finally {
    chmodSync(dataDir, 0o700)
    rmSync(dataDir, { recursive: true })
  }
})
