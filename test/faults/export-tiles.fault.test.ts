// export-tiles of a ledger in EventStoreDB that will not give it, or cannot be reached: the exit code tells which, and
// no checkpoint is written for entries that were not seen.

import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { setMetadata, STREAM } from '../support/eventstoredb/ledger.js'
import { EventStoreDbHome } from '../support/ledger-home.js'
import { runSubcommand } from '../support/subcommand.js'
import { verifiedLedger } from '../support/verified-ledger.js'

let home: EventStoreDbHome
let broker: BrokerProcess
let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'export-tiles-'))
  home = await EventStoreDbHome.open()
  broker = await BrokerProcess.start({
    env: { ...home.env, BROKER_OIDC_ISSUER: 'https://broker.example.com' },
  })
  expect((await broker.post('/v1/mint-oidc-jwt', (await broker.session()).session)).status).toBe(200)
  expect(await broker.stop()).toBe(0)
})
afterEach(() => setMetadata(home.standIn.database, STREAM, {}))
afterAll(async () => {
  await verifiedLedger(home.folder())
  await broker.dispose()
  await home.dispose()
  rmSync(folder, { recursive: true })
})

function exportTo(directory: string, env: Record<string, string> = {}) {
  const variables = { HOME: folder, BROKER_DATA_DIR: broker.dataDir, ...broker.options.env, ...env }
  return runSubcommand(['export-tiles', directory], variables)
}

const url = (password: string) => ({ BROKER_LEDGER_URL: home.urlFor('ledger-app', password) })
const database = () => home.standIn.database

const refusals: [string, { act?: () => void; env?: () => Record<string, string>; said: RegExp }][] = [
  [
    'a password it does not know',
    { env: () => url('wrong-canary'), said: /does not know this user and password/ },
  ],
  [
    'a user without the right to read',
    { act: () => setMetadata(database(), STREAM, { $acl: { $r: '$admins' } }), said: /denies access/ },
  ],
  [
    'entries it hides',
    { act: () => setMetadata(database(), STREAM, { $tb: 2 }), said: /does not show entry 0/ },
  ],
  [
    'a CA that is not named',
    {
      env: () => ({ BROKER_LEDGER_URL: home.url.split('?')[0] as string }),
      said: /certificate.*tlsCAFile/s,
    },
  ],
]
test.each(refusals)('a store that refuses for %s: exit 1, as of migrate-ledger', async (what, row) => {
  row.act?.()
  const directory = join(folder, what)
  const { code, out, err } = await exportTo(directory, row.env?.())
  expect({ code, out, err }).toEqual({ code: 1, out: '', err: expect.stringMatching(row.said) })
  expect(err).toMatch(/^export-tiles: /m)
  expect(err).not.toContain('canary')
  expect(existsSync(join(directory, 'checkpoint'))).toBe(false)
})

test('a damaged entry: exit 1, with its place and what to do', async () => {
  const { data } = database().events(STREAM)[1] as { data: Uint8Array }
  database().redact(STREAM, 1)
  try {
    const { code, err } = await exportTo(join(folder, 'damaged'))
    expect({ code, err }).toEqual({
      code: 1,
      err: expect.stringMatching(/damaged .*entry 1\b.*verify-ledger/s),
    })
    expect(existsSync(join(folder, 'damaged', 'checkpoint'))).toBe(false)
  } finally {
    database().overwrite(STREAM, 1, { data })
  }
})

test('a node that cannot be reached: exit 3, and it goes through once it can be', async () => {
  home.standIn.kill()
  const directory = join(folder, 'later')
  const { code, err } = await exportTo(directory)
  expect({ code, err }).toEqual({ code: 3, err: expect.stringContaining('cannot be read now') })
  await home.standIn.start()
  expect(await exportTo(directory)).toMatchObject({ code: 0 })
  expect(existsSync(join(directory, 'checkpoint'))).toBe(true)
})
