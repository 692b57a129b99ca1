// The system's clock jumps: by years, forward and back, while the broker runs and while it is stopped; and a broker
// with a wrong clock appends an entry of the year 9998.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import Sqlite from 'better-sqlite3'

import { chain, parseEntry } from '../../src/domain/ledger/entry.js'
import { loadLedgerKey } from '../../src/ledger/key.js'
import { BrokerProcess } from '../support/broker-process.js'
import { fakeTime, setOffset } from '../support/fake-time.js'
import { signedEntry } from '../support/ledger-signer.js'
import type { MintReply } from '../support/received.js'
import { refusedStart } from '../support/refused-start.js'
import { until } from '../support/until.js'
import { ledgerPath, verdictOn, verifiedLedger } from '../support/verified-ledger.js'

describe('a broker whose clock jumps', () => {
  const folder = mkdtempSync(join(tmpdir(), 'agentkeys-clock-'))
  const offset = join(folder, 'offset')
  let broker: BrokerProcess
  let session: string

  beforeAll(async () => {
    broker = await BrokerProcess.start({ env: fakeTime(offset) })
    session = (await broker.session()).session
  })
  afterAll(async () => {
    await broker.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  const mint = (): Promise<MintReply> => broker.post('/v1/mint-oidc-jwt', session)
  const problems = async () => {
    const { status, body } = await broker.get<{ problems?: string[] }>('/readyz')
    return status === 200 ? '' : `${status} ${body.problems?.join('; ')}`
  }
  const errors = () => broker.log.split('\n').filter((line) => line.includes('minting stops'))

  test.each([
    ['+20y', 'by the time that has passed it should be about'],
    ['-5y', 'by the time that has passed it should be about'],
    ['-20m', "the ledger's last entry is of"],
  ])(
    '%s while it runs: 503, /readyz and one error line say why, and it ends with the jump',
    async (to, why) => {
      expect((await mint()).status).toBe(200)
      const before = errors().length
      setOffset(offset, to)
      const refused = await mint()
      expect(refused).toMatchObject({ status: 503, body: { error: 'ledger_unavailable' } })
      expect(refused.body.message).toContain(why)
      expect((await mint()).status).toBe(503)
      await until(async () => (await problems()).includes(why))
      expect(errors().slice(before)).toEqual([expect.stringContaining(why)])

      setOffset(offset, '+0')
      expect((await mint()).status).toBe(200)
      await until(async () => (await problems()) === '')
    },
  )

  test('a step of two minutes, as NTP makes them, stops nothing; the token has the time of its entry', async () => {
    for (const to of ['+120', '-60', '+0']) {
      setOffset(offset, to)
      expect((await mint()).status).toBe(200)
    }
    const { entries } = await verifiedLedger(broker.dataDir)
    for (const { type, time, data } of entries)
      if (type === 'JwtIssued') expect(data['iat']).toBe(Math.floor(Date.parse(time) / 1000))
  })

  test('a start with a clock outside the bounds is refused, and writes nothing; widened, it may', async () => {
    await broker.stop()
    const before = await verifiedLedger(broker.dataDir)
    for (const [to, why] of [
      ['+20y', 'BROKER_LONGEST_PAUSE_DAYS='],
      ['-5y', "the ledger's last entry is of"],
    ] as const) {
      setOffset(offset, to)
      const { code, reason } = await refusedStart(broker.options)
      expect([code, reason]).toEqual([1, expect.stringContaining(why)])
    }
    expect((await verifiedLedger(broker.dataDir)).entries).toEqual(before.entries)

    setOffset(offset, '+40d')
    broker = await broker.restart({ env: { BROKER_LONGEST_PAUSE_DAYS: '41' } })
    // Sessions are good for 30 days.
    session = (await broker.session()).session
    expect((await mint()).status).toBe(200)
    expect(broker.log).toContain('unset it after this start')
  })
})

test('an entry of the year 9998 that a broker with a wrong clock signed is not taken over, and no mint comes after it', async () => {
  const broker = await BrokerProcess.start()
  try {
    const { session } = await broker.session()
    expect((await broker.post('/v1/mint-oidc-jwt', session)).status).toBe(200)
    writeEntryOfOtherClock(broker)

    const why = 'has the time 9998-01-01T00:00:00.000Z'
    const refused = await broker.post<{ message: string }>('/v1/mint-oidc-jwt', session)
    expect([refused.status, refused.body.message]).toEqual([503, expect.stringContaining(why)])
    expect((await broker.post('/v1/mint-oidc-jwt', session)).status).toBe(503)
    const { status, body } = await broker.get<{ problems: string[] }>('/readyz')
    expect([status, body.problems.join()]).toEqual([503, expect.stringContaining(why)])
    expect(broker.log.split('\n').filter((line) => line.includes('minting stops'))).toHaveLength(1)

    await broker.stop()
    const { code, reason } = await refusedStart(broker.options)
    expect([code, reason]).toEqual([1, expect.stringContaining("the ledger's last entry is of 9998")])
    const verdict = await verdictOn(ledgerPath(broker.dataDir))
    expect(verdict.findings.at(-1)).toMatchObject({ index: verdict.size - 1 })
  } finally {
    await broker.dispose()
  }
})

/** What another broker would append that holds the ledger key and a clock of the year 9998. */
function writeEntryOfOtherClock({ dataDir, url }: BrokerProcess): void {
  const db = new Sqlite(ledgerPath(dataDir))
  try {
    const row = db.prepare('SELECT * FROM ledger ORDER BY idx DESC LIMIT 1').get() as { entry: string }
    const event = {
      type: 'BrokerStarted',
      data: { node: 'x', version: '1', configSha256: 'a'.repeat(64) },
    } as const
    const sealed = chain(parseEntry(row.entry), event, new Date('9998-01-01T00:00:00.000Z'))
    const key = loadLedgerKey(join(dataDir, 'ledger-key.json'), `${new URL(url).hostname}/ledger`)
    if (!key) throw new Error('the broker has no ledger key')
    const { index } = sealed.entry
    db.prepare('INSERT INTO ledger (idx, entry) VALUES (?, ?)').run(index, sealed.text)
    const { signature } = signedEntry(sealed, key.signer)
    db.prepare('INSERT INTO signed_heads VALUES (?, ?)').run(index, signature)
  } finally {
    db.close()
  }
}
