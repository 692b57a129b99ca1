// Rights that an administrator takes from the user of a running broker. The server goes on taking the broker's appends,
// although it may no longer read what others write, or that entries are about to be hidden: it must stop by itself.

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { setMetadata, STREAM } from '../support/eventstoredb/ledger.js'
import { EventStoreDbHome } from '../support/ledger-home.js'
import { type MintReply, Received } from '../support/received.js'
import { until } from '../support/until.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const DENIED = /EventStoreDB denies access.*an administrator runs agentkeys-broker init-eventstore/
const STOPPED = /"level":"error".*minting stops, because this broker may not read the ledger or its metadata/
const NO_READ = { $acl: { $r: '$admins' } }
const NO_METADATA = { $acl: { $mr: '$admins' } }

let home: EventStoreDbHome
let broker: BrokerProcess
let session: string
let received: Received

beforeEach(async () => {
  received = new Received()
  home = await EventStoreDbHome.open()
  const env = { ...home.env, BROKER_ALLOWED_AUDIENCES: 'api.example.com' }
  broker = await BrokerProcess.start({ env })
  session = (await broker.session()).session
  for (let i = 0; i < 3; i += 1) expect(await mint()).toMatchObject({ status: 200 })
})
/** At the end the ledger verifies and holds all that was handed out. */
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

const change = (metadata: object) => setMetadata(home.standIn.database, STREAM, metadata)
const entriesStored = () => home.standIn.database.events(STREAM).length

/** Mints are refused with 503, nothing is appended, readyz says why, and one error line says it too. */
async function stopsMinting(): Promise<void> {
  await until(
    async () => (await mint()).status !== 200,
    () => 'it goes on minting',
  )
  const stored = entriesStored()
  expect(await mint()).toMatchObject({ status: 503, body: { error: 'ledger_unavailable' } })
  expect(entriesStored()).toBe(stored)
  const { status, body } = await broker.get<{ ledger_ok: boolean; problems: string[] }>('/readyz')
  expect({ status, ledgerOk: body.ledger_ok }).toEqual({ status: 503, ledgerOk: false })
  expect(body.problems.join('\n')).toMatch(DENIED)
  expect(broker.log.split('\n').filter((line) => STOPPED.test(line))).toEqual([expect.stringMatching(DENIED)])
}

test('a default ACL that is opened, in a stream that the broker may not read, stops it until it is started again', async () => {
  const opened = Buffer.from('{"$userStreamAcl":{"$d":"$all"}}')
  const event = { id: crypto.randomUUID(), type: 'update-default-acl', contentType: 'application/json' }
  home.standIn.database.append('$settings', 'any', [{ ...event, data: opened, metadata: new Uint8Array() }])
  await until(
    async () => (await mint()).status === 500,
    () => 'it goes on minting',
  )
  const said = /user may delete streams .*: run agentkeys-broker init-eventstore/
  const { body } = await broker.get<{ problems: string[] }>('/readyz')
  expect(body.problems.join('\n')).toMatch(said)
  await until(() => said.test(broker.log))
})

describe.each([
  ['ends', false],
  ['stays open and silent', true],
])('the subscription of a user without the right %s', (_how, silent) => {
  test.each([
    ['read the ledger', NO_READ],
    ['read its metadata', NO_METADATA],
  ])('the right to %s is taken: minting stops, and goes on when it is given back', async (_, acl) => {
    home.standIn.deniedStaySilent = silent
    change(acl)
    await stopsMinting()
    change({})
    await until(
      async () => (await mint()).status === 200,
      () => 'it does not mint again',
    )
    await broker.becomesReady()
    expect(broker.log).toContain('the ledger can be read again: minting goes on')
  })

  test('the stream is truncated out of sight: nothing is appended to it, and it is said once it can be seen', async () => {
    home.standIn.deniedStaySilent = silent
    change(NO_METADATA)
    await stopsMinting()
    const stored = entriesStored()
    change({ ...NO_METADATA, $tb: 3 })
    expect(await mint()).toMatchObject({ status: 503 })
    change({ $tb: 3 })
    await until(
      async () => (await mint()).status === 500,
      () => 'it does not say that the ledger is damaged',
    )
    await until(() => /nothing is minted any more: .*its metadata says \$tb 3/.test(broker.log))
    expect(entriesStored()).toBe(stored)
  })
})
