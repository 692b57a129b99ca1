// A ledger from before appends were signed: no broker builds on it, until its operator has taken it over, once.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import Sqlite from 'better-sqlite3'

import { BrokerProcess } from '../support/broker-process.js'
import { refusedStart } from '../support/refused-start.js'
import { runSubcommand } from '../support/subcommand.js'
import { ledgerPath, verdictOn, verifiedLedger } from '../support/verified-ledger.js'

let broker: BrokerProcess
let session: string
let path: string

const mint = () => broker.post('/v1/mint-oidc-jwt', session)

beforeAll(async () => {
  broker = await BrokerProcess.start({ env: { BROKER_OIDC_ISSUER: 'https://broker.example.com' } })
  ;({ session } = await broker.session())
  path = ledgerPath(broker.dataDir)
  expect(await mint()).toMatchObject({ status: 200 })
  expect(await broker.stop()).toBe(0)
  // The tables of that time.
  const file = new Sqlite(path)
  file.exec('DROP TABLE signed_heads')
  file.close()
})
afterAll(() => broker.dispose())

const adopt = (...args: string[]) =>
  runSubcommand(['adopt-ledger', ...args], {
    BROKER_OIDC_ISSUER: 'https://broker.example.com',
    BROKER_DATA_DIR: broker.dataDir,
    HOME: broker.dataDir,
  })

test('it is refused until it is taken over by its size and head; then brokers go on, and it verifies', async () => {
  const { code, reason } = await refusedStart(broker.options)
  expect([code, reason]).toEqual([1, expect.stringMatching(/not signed by a holder.*adopt-ledger/)])
  const { size, head, findingsByKind } = await verdictOn(path)
  expect(findingsByKind).toEqual({ 'unsigned-entries': 1 })

  const right = ['--expect-size', String(size), '--expect-head', String(head)]
  const wrong = [[], ['--expect-size', String(size), '--expect-head', 'f'.repeat(64)]]
  for (const args of wrong) {
    const refused = await adopt(...args)
    expect([refused.code, refused.out]).toEqual([1, ''])
    expect(refused.err).toContain('Nothing was done.')
    expect(refused.err).toContain(`agentkeys-broker adopt-ledger ${right.join(' ')}`)
  }
  expect((await verdictOn(path)).size).toBe(size)

  expect(await adopt(...right)).toMatchObject({
    code: 0,
    out: expect.stringContaining(`entries from 0 on taken over by entry ${size}`),
  })
  expect(await adopt()).toMatchObject({ code: 0, out: expect.stringContaining('nothing to do') })
  broker = await broker.restart()
  expect(await mint()).toMatchObject({ status: 200 })
  // A broker that runs holds the data dir's lock.
  expect(await adopt(...right)).toMatchObject({
    code: 3,
    err: expect.stringContaining('another broker is running'),
  })
  expect(await broker.stop()).toBe(0)
  const ledger = await verifiedLedger(broker.dataDir)
  expect(ledger.of('LedgerAdopted').map(({ index, data }) => [index, data.from])).toEqual([[size, 0]])
})
