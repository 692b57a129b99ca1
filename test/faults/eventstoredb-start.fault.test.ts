// A start on a ledger in EventStoreDB that is whole and yet not as it must be: metadata that will hide entries, rights
// that are missing, an ACL of its own that gives others too many. It is refused with what to do, before anything is
// appended, and goes through once that was done.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { setMetadata, STREAM } from '../support/eventstoredb/ledger.js'
import { EventStoreDbHome } from '../support/ledger-home.js'
import { type MintReply, Received } from '../support/received.js'
import { refusedStart } from '../support/refused-start.js'
import { verifiedLedger } from '../support/verified-ledger.js'

/** The folder of a broker whose read models are up to the end of the ledger. */
let used: string
let home: EventStoreDbHome
const received = new Received()
const folders: string[] = []

beforeAll(async () => {
  home = await EventStoreDbHome.open()
  used = folder()
  await mintsOn(used)
})
afterAll(async () => {
  await home.dispose()
  for (const path of folders) rmSync(path, { recursive: true, force: true })
})
afterEach(() => setMetadata(home.standIn.database, STREAM, {}))

const env = () => ({
  ...home.env,
  BROKER_OIDC_ISSUER: 'https://broker.example.com',
  BROKER_ALLOWED_AUDIENCES: 'api.example.com',
})
const size = () => home.standIn.database.events(STREAM).length

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'agentkeys-'))
  folders.push(path)
  return path
}

/** A broker that starts, mints and ends in order, and what it logged. */
async function mintsOn(dataDir: string, flags: string[] = []): Promise<string> {
  const broker = await BrokerProcess.start({ dataDir, env: env(), flags })
  const { session } = await broker.session()
  const reply: MintReply = await broker.post('/v1/mint-oidc-jwt', session)
  received.note(reply)
  expect([reply.status, await broker.stop()]).toEqual([200, 0])
  expect(received.unexplainedBy(await verifiedLedger(home.folder()))).toEqual([])
  return broker.log
}

const UNHIDE =
  /an administrator takes \$tb, \$maxCount and \$maxAge out .* before any scavenge.*verify-ledger/
const RIGHTS = /denies access.*runs agentkeys-broker init-eventstore.*takes any \$acl out/

const settings: [string, object, RegExp[]][] = [
  ['a $maxCount above its size', { $maxCount: 1000 }, [/its metadata says \$maxCount 1000\b/, UNHIDE]],
  ['a $maxAge of decades', { $maxAge: 1e9 }, [/its metadata says \$maxAge 1000000000\b/, UNHIDE]],
  ['metadata that the broker may not read', { $acl: { $mr: '$admins' } }, [RIGHTS]],
]
test.each(settings)(
  'a ledger with %s is refused, whatever the read models hold, until that was repaired',
  async (_what, metadata, reasons) => {
    setMetadata(home.standIn.database, STREAM, metadata)
    const before = size()
    const BROKER_LEDGER_KEY_PATH = join(used, 'ledger-key.json')
    for (const start of [
      { dataDir: folder(), env: { ...env(), BROKER_LEDGER_KEY_PATH } },
      { dataDir: used, env: env() },
    ]) {
      const { code, reason } = await refusedStart(start)
      expect(code).toBe(1)
      for (const said of reasons) expect(reason).toMatch(said)
      expect(size()).toBe(before)
    }
    setMetadata(home.standIn.database, STREAM, {})
    await mintsOn(used)
  },
)

describe("an ACL of the ledger stream's own that lets the broker delete it", () => {
  const problem = `the ledger stream has an $acl of its own that gives $d to ledger-app: an administrator takes it out of the metadata of ${STREAM}`
  const setAcl = () => setMetadata(home.standIn.database, STREAM, { $acl: { $d: ['ledger-app'] } })

  test('is refused', async () => {
    setAcl()
    const before = size()
    const { code, reason } = await refusedStart({ dataDir: used, env: env() })
    expect({ code, reason }).toEqual({ code: 1, reason: expect.stringContaining(problem) })
    expect(size()).toBe(before)
  })

  test('is a warning with --insecure-ledger', async () => {
    setAcl()
    const log = await mintsOn(used, ['--insecure-ledger'])
    const warnings = log.split('\n').filter((line) => line.includes('"level":"warn"'))
    expect(warnings).toEqual([expect.stringContaining(problem)])
  })
})
