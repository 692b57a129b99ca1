// The node under a broker ends and is started again, as a process of its own that has nothing but its file.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { Database } from '../support/eventstoredb/database.js'
import { StandInProcess } from '../support/eventstoredb/process.js'
import { freePort } from '../support/free-port.js'
import { writeSqlite } from '../support/ledger-builder.js'
import { onDisk } from '../support/ledger-home.js'
import { Received, repeated } from '../support/received.js'
import { until } from '../support/until.js'
import { ledgerPath, type VerifiedLedger, verifiedLedger } from '../support/verified-ledger.js'

const CALLERS = 8
const ROUNDS = 3

let folder: string
let node: StandInProcess
let broker: BrokerProcess
let received: Received

beforeEach(async () => {
  received = new Received()
  folder = mkdtempSync(join(tmpdir(), 'eventstoredb-node-'))
  node = await startNode(await freePort())
  broker = await BrokerProcess.start({
    env: {
      BROKER_LEDGER_URL: `${node.url}&defaultDeadline=2000`,
      BROKER_ALLOWED_AUDIENCES: 'api.example.com',
    },
    flags: ['--insecure-ledger'],
  })
})
afterEach(async () => {
  await broker.dispose()
  await node.end()
  rmSync(folder, { recursive: true })
})

const file = () => join(folder, 'db.jsonl')

function startNode(port: number): Promise<StandInProcess> {
  return StandInProcess.start('--db', file(), '--port', String(port), '--silence-ms', '500')
}

/** What the node's file holds, for the verifier. */
function inTheFile(): Promise<VerifiedLedger> {
  const copy = join(folder, 'copy')
  mkdirSync(copy)
  writeSqlite(ledgerPath(copy), [onDisk(new Database(file()))])
  return verifiedLedger(copy)
}

async function caller(bearer: string, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    const reply = await broker.post('/v1/mint-oidc-jwt', bearer)
    received.note(reply as Parameters<Received['note']>[0])
    // Minted, or asked to retry: a node that is gone is no reason for anything else.
    expect([200, 503]).toContain(reply.status)
  }
}

test.each(['SIGKILL', 'SIGTERM'] as const)(
  'a node that ends by %s under load and comes back: the broker goes on, and what it handed out is in the file once',
  async (signal) => {
    const stop = new AbortController()
    const sessions = await Promise.all(Array.from({ length: CALLERS }, (_, i) => broker.session(`user ${i}`)))
    const callers = sessions.map(({ session }) => caller(session, stop.signal))
    for (let round = 0; round < ROUNDS; round += 1) {
      const { jwts } = received.count
      await until(() => received.count.jwts > jwts + CALLERS)
      await node.end(signal)
      await until(async () => (await broker.get('/readyz')).status === 503)
      node = await startNode(node.port)
      await until(async () => (await broker.get('/readyz')).status === 200)
    }
    const { jwts } = received.count
    await until(() => received.count.jwts > jwts)
    stop.abort()
    await Promise.all(callers)
    expect(await broker.stop()).toBe(0)
    await node.end()

    const ledger = await inTheFile()
    expect(received.unexplainedBy(ledger)).toEqual([])
    expect(repeated(ledger.of('JwtIssued').map(({ data }) => data.mintId))).toEqual([])
  },
)
