// An older backup of the ledger in EventStoreDB is put back while the broker is away. By itself it is a valid ledger:
// only what the broker keeps elsewhere shows that its end is gone, and each of its two memories does so alone.

import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { EsdbSource } from '../../tools/verify-ledger/sources/esdb.js'
import { BrokerProcess } from '../support/broker-process.js'
import { STREAM } from '../support/eventstoredb/ledger.js'
import { EventStoreDbHome } from '../support/ledger-home.js'
import { refusedStart } from '../support/refused-start.js'
import { ledgerPath, verdictFrom, verdictOn, verifiedLedger } from '../support/verified-ledger.js'

const MINTS = 3
/** The entries of the last mint. */
const LOST = 2

let home: EventStoreDbHome
let used: BrokerProcess
/** One of `used`. */
let session: { session: string; wallet: string }
const folders: string[] = []

beforeEach(async () => {
  home = await EventStoreDbHome.open()
  used = await started({ dataDir: folder() })
  session = await used.session()
  await mints(used, MINTS)
})
afterEach(async () => {
  await home.dispose()
  for (const path of folders.splice(0)) rmSync(path, { recursive: true, force: true })
})

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'agentkeys-'))
  folders.push(path)
  return path
}

function started({ dataDir, more = {} }: { dataDir: string; more?: Record<string, string> }) {
  const env = { ...home.env, BROKER_OIDC_ISSUER: 'https://broker.example.com', ...more }
  return BrokerProcess.start({ dataDir, env })
}

/** And ends in order. */
async function mints(broker: BrokerProcess, count: number): Promise<void> {
  const bearer = (await broker.session()).session
  for (let i = 0; i < count; i += 1) expect((await broker.post('/v1/mint-oidc-jwt', bearer)).status).toBe(200)
  expect(await broker.stop()).toBe(0)
}

const size = () => home.standIn.database.events(STREAM).length

function forget(...names: string[]): void {
  for (const name of names)
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(used.dataDir, name + suffix), { force: true })
}

const restore = /restore the missing entries from a backup, an export or a mirror/
const olderCopy = /older copy was put back\. Restore the newest copy/
const memories: [string, string[], RegExp][] = [
  ['the read model alone knows', ['last-checkpoint'], restore],
  ['the last checkpoint alone knows', ['audit.sqlite'], olderCopy],
  ['both know', [], restore],
]

test.each(memories)(
  'it ends before what was signed: %s, and the start is refused until the end is back',
  async (_who, forgotten, remedy) => {
    const { database } = home.standIn
    const newest = database.events(STREAM).slice(-LOST)
    const { size: whole, head } = await verdictOn(ledgerPath(home.folder()))
    database.forgetNewest(STREAM, LOST)
    forget(...forgotten)
    const { code, reason } = await refusedStart(used.options)
    expect({ code, reason }).toEqual({ code: 1, reason: expect.stringMatching(remedy) })
    expect(reason).toContain(String(whole))
    expect(size()).toBe(whole - LOST)
    const expected = { size: whole, head: head as string }
    const { firstFinding } = await verdictOn(ledgerPath(home.folder()), { expected })
    expect(firstFinding).toMatchObject({ kind: 'cut-off' })

    database.append(STREAM, 'any', newest)
    await mints(await used.restart(), 1)
    expect((await verifiedLedger(home.folder())).of('JwtIssued')).toHaveLength(MINTS + 1)
  },
)

test.each([
  ['the read model alone knows', ['last-checkpoint'], /was rewritten|another ledger|not the one|leaf hash/],
  ['the last checkpoint alone knows', ['audit.sqlite'], /entries were other ones/],
])(
  'and a broker that never saw the end has gone on from there, past it: %s, and the start is refused',
  async (_who, forgotten, words) => {
    const whole = size()
    home.standIn.database.forgetNewest(STREAM, LOST)
    const more = {
      BROKER_LEDGER_KEY_PATH: join(used.dataDir, 'ledger-key.json'),
      BROKER_OIDC_KEYPAIR_PATH: join(used.dataDir, 'oidc-keypair.json'),
    }
    await mints(await started({ dataDir: folder(), more }), 2)
    // Nothing is wrong with it but that it is another history than the one that was signed.
    const { entries } = await verifiedLedger(home.folder())
    expect(entries.length).toBeGreaterThan(whole)

    forget(...forgotten)
    const { code, reason } = await refusedStart(used.options)
    expect({ code, reason }).toEqual({ code: 1, reason: expect.stringMatching(words) })
    expect(size()).toBe(entries.length)
  },
)

// docs/operator.md, "When entries are lost".
test('entries that no one has any more: the ledger is ended, and a new one begins in another stream beside it', async () => {
  home.standIn.database.forgetNewest(STREAM, LOST)
  const closed = size()
  const dataDir = folder()
  for (const name of ['sessions.sqlite', 'oidc-keypair.json'])
    cpSync(join(used.dataDir, name), join(dataDir, name))
  const origin = { BROKER_LEDGER_ORIGIN: 'broker.example.com/ledger-2' }
  const env = { ...used.options.env, ...origin }
  const { code, reason } = await refusedStart({ dataDir, env })
  expect({ code, reason }).toEqual({ code: 1, reason: expect.stringContaining('BROKER_LEDGER_STREAM') })

  const stream = 'agentkeys-ledger-2'
  const next = await started({ dataDir, more: { ...origin, BROKER_LEDGER_STREAM: stream } })
  // The session is from before, and so is the key that AWS knows.
  const reply = await next.post('/v1/mint-oidc-jwt', session.session)
  expect(reply).toMatchObject({ status: 200, body: { wallet: session.wallet } })
  const { keys } = (await next.get<{ keys: { kid: string }[] }>('/.well-known/jwks.json')).body
  expect(await next.stop()).toBe(0)
  expect(await verdictFrom(await EsdbSource.open(home.url, stream))).toMatchObject({ ok: true, findings: [] })
  const ended = await verifiedLedger(home.folder())
  expect(ended.entries).toHaveLength(closed)
  const active = ended.of('SigningKeyActivated').map(({ data }) => data.kid)
  expect(keys.map(({ kid }) => kid)).toEqual([...active, expect.any(String)])
})
