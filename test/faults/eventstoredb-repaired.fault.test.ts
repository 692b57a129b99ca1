// What stops a broker on EventStoreDB until an administrator has repaired it, and what is true afterwards: who has to be
// started again, and that nothing is missing of what anybody got before.

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import type { nodeCertificate } from '../support/eventstoredb/certificates.js'
import type { Database } from '../support/eventstoredb/database.js'
import { setMetadata, STREAM } from '../support/eventstoredb/ledger.js'
import { EventStoreDbHome } from '../support/ledger-home.js'
import { type MintReply, Received } from '../support/received.js'
import { until } from '../support/until.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const REFUSED = { status: 500, body: { error: 'audit_error' } }

let home: EventStoreDbHome
let broker: BrokerProcess
let session: string
let received: Received
beforeEach(async () => {
  received = new Received()
  home = await EventStoreDbHome.open()
  broker = await BrokerProcess.start({
    env: { ...home.env, BROKER_ALLOWED_AUDIENCES: 'api.example.com' },
  })
  session = (await broker.session()).session
  for (let i = 0; i < 3; i += 1) expect(await mint()).toMatchObject({ status: 200 })
})
/** At the end the ledger verifies and holds all that anybody got, before, meanwhile and after. */
afterEach(async () => {
  try {
    expect(received.unexplainedBy(await verifiedLedger(home.folder()))).toEqual([])
  } finally {
    await broker.dispose()
    await home.dispose()
  }
})

async function mint(): Promise<MintReply> {
  const reply: MintReply = await broker.post('/v1/mint-oidc-jwt', session)
  received.note(reply)
  return reply
}

const ready = async () => (await broker.get<{ problems?: string[] }>('/readyz')).body
const isReady = async () => (await broker.get('/readyz')).status === 200

describe('entries that are hidden, and shown again', () => {
  const hidings: [string, (database: Database) => void][] = [
    ['truncated', (database) => setMetadata(database, STREAM, { $tb: 3 })],
    ['limited in length', (database) => setMetadata(database, STREAM, { $maxCount: 2 })],
    ['soft-deleted', (database) => database.softDelete(STREAM)],
  ]
  test.each(hidings)(
    'a stream that was %s: the broker goes on when it is started again',
    async (_what, hide) => {
      hide(home.standIn.database)
      await until(async () => (await mint()).status === 500)
      setMetadata(home.standIn.database, STREAM, {})
      // What it saw is a reason to look at the ledger before anything is added to it.
      expect(await mint()).toMatchObject(REFUSED)
      expect(await isReady()).toBe(false)

      expect(await broker.stop()).toBe(0)
      broker = await broker.restart()
      session = (await broker.session()).session
      expect(await mint()).toMatchObject({ status: 200 })
      expect(await isReady()).toBe(true)
    },
  )
})

describe("the node's certificate", () => {
  const bad: [string, Parameters<typeof nodeCertificate>[1], RegExp][] = [
    ['has expired', { days: -1 }, /TLS to EventStoreDB fails: .*certificate has expired/],
    ['is for another name', { name: 'DNS:node1' }, /TLS to EventStoreDB fails: .*altnames/],
  ]
  test.each(bad)(
    '%s: said by mints and by readyz, and by itself all goes on with a good one',
    async (...row) => {
      const [, what, words] = row
      const size = home.standIn.database.events(STREAM).length
      await home.restartWith(what)
      await until(async () => {
        const { status, body } = await mint()
        return status === 500 && body.error === 'audit_error' && words.test(body.message ?? '')
      })
      await until(async () => ((await ready()).problems ?? []).some((problem) => words.test(problem)))
      expect(home.standIn.database.events(STREAM)).toHaveLength(size)

      await home.restartWith({})
      await until(async () => (await mint()).status === 200)
      await until(isReady)
    },
  )
})
