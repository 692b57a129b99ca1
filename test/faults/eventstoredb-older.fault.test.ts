// An older backup of the ledger in EventStoreDB is put back while the broker is away. By itself it is a valid ledger:
// only what the broker keeps elsewhere shows that its end is gone, and each of its two memories does so alone.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { STREAM } from '../support/eventstoredb/ledger.js'
import { EventStoreDbHome } from '../support/ledger-home.js'
import { refusedStart } from '../support/refused-start.js'
import { ledgerPath, verdictOn, verifiedLedger } from '../support/verified-ledger.js'

const MINTS = 3
/** The entries of the last mint. */
const LOST = 2

let home: EventStoreDbHome
let used: BrokerProcess
const folders: string[] = []

beforeEach(async () => {
  home = await EventStoreDbHome.open()
  used = await started({ dataDir: folder() })
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
  const { session } = await broker.session()
  for (let i = 0; i < count; i += 1)
    expect((await broker.post('/v1/mint-oidc-jwt', session)).status).toBe(200)
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
