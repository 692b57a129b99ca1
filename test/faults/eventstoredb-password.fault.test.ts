// Another program has the password that brokers use in EventStoreDB: it may append, and it has no ledger key. What it
// writes reaches no JWKS, stops a running broker and a start with a message, and is found by the auditor's program.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { chain, parseEntry, type Sealed } from '../../src/domain/ledger/entry.js'
import type { LedgerEvent } from '../../src/domain/ledger/events.js'
import type { EntryToAppend } from '../../src/event-store/event-store.js'
import { EsdbSource } from '../../tools/verify-ledger/sources/esdb.js'
import { BrokerProcess } from '../support/broker-process.js'
import { STREAM } from '../support/eventstoredb/ledger.js'
import { LedgerBuilder } from '../support/ledger-builder.js'
import { EventStoreDbHome, onDisk } from '../support/ledger-home.js'
import { ledgerSigner, signedEntry } from '../support/ledger-signer.js'
import { refusedStart } from '../support/refused-start.js'
import { until } from '../support/until.js'
import { verdictFrom } from '../support/verified-ledger.js'

const ISSUER = { BROKER_OIDC_ISSUER: 'https://broker.example.com' }
const ORIGIN = 'broker.example.com/ledger'

let home: EventStoreDbHome
const folders: string[] = []
const brokers: BrokerProcess[] = []
beforeEach(async () => {
  home = await EventStoreDbHome.open()
})
afterEach(async () => {
  for (const broker of brokers.splice(0)) await broker.dispose()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
  await home.dispose()
})

const stored = () => onDisk(home.standIn.database)

async function kidsOf(broker: BrokerProcess): Promise<string[]> {
  const { body } = await broker.get<{ keys: { kid: string }[] }>('/.well-known/jwks.json')
  return body.keys.map(({ kid }) => kid)
}

/** With the brokers' own user and password, behind the newest entry. */
async function append(entry: EntryToAppend): Promise<void> {
  const store = home.open()
  await store.append([entry], stored().length)
  await store.close()
}

const STARTED: LedgerEvent = {
  type: 'BrokerStarted',
  data: { node: 'another', version: '1', configSha256: 'a'.repeat(64) },
}
const ROGUE_KEY: LedgerEvent = {
  type: 'SigningKeyPublished',
  data: { kid: 'rogue', alg: 'ES256', jwk: new LedgerBuilder(7).jwk('rogue') },
}
const chained = (last: Sealed, event: LedgerEvent): Sealed => chain(last, event, new Date())

/** The newest entry, and the signature of its append. */
type Forgery = (last: Sealed, signature: string) => EntryToAppend

test.each<[string, Forgery, number, RegExp]>([
  ['no signature', (last) => chained(last, STARTED), 503, /not signed by a holder of the ledger key/],
  [
    'the signature of another entry',
    (last, signature) => ({ ...chained(last, STARTED), signature }),
    503,
    /not signed by a holder of the ledger key/,
  ],
  [
    'a signature of another key of the same name',
    (last) => signedEntry(chained(last, STARTED), ledgerSigner(ORIGIN)),
    503,
    /not signed by a holder of the ledger key/,
  ],
  [
    'a signing key of its own',
    (last) => chained(last, ROGUE_KEY),
    503,
    /not signed by a holder of the ledger key/,
  ],
  [
    'a skipped index',
    (last) => chained({ ...last, entry: { ...last.entry, index: last.entry.index + 3 } }, STARTED),
    500,
    /run verify-ledger, then restore/,
  ],
])(
  'an entry with %s: no key of it is served, nothing is minted, no broker starts, and it is found',
  async (_, forge, status, said) => {
    const broker = await BrokerProcess.start({ env: { ...home.env, ...ISSUER } })
    brokers.push(broker)
    const { session } = await broker.session()
    expect(await broker.post('/v1/mint-oidc-jwt', session)).toMatchObject({ status: 200 })
    const kids = await kidsOf(broker)
    const before = stored()
    const { text, signature = '' } = before.at(-1) as { text: string; signature?: string }
    await append(forge(parseEntry(text), signature))

    await until(async () => (await broker.get('/readyz')).status === 503)
    const refused = await broker.post<{ message: string }>('/v1/mint-oidc-jwt', session)
    expect(refused).toMatchObject({ status, body: { message: expect.stringMatching(said) } })
    expect(await kidsOf(broker)).toEqual(kids)
    // Nothing was chained onto it.
    expect(stored()).toHaveLength(before.length + 1)

    await broker.stop()
    const start = await refusedStart(broker.options)
    expect(start).toEqual({ code: 1, reason: expect.stringMatching(/verify-ledger/) })
    const { findings } = await verdictFrom(await EsdbSource.open(home.url, STREAM))
    expect(findings[0]?.index).toBe(before.length)
  },
)

/** Resolves with whether it listens; otherwise it has refused to start. */
async function listens(broker: BrokerProcess): Promise<boolean> {
  return broker.listening().then(
    () => true,
    () => false,
  )
}

/** Folders of two brokers: each with key files of its own, or both with the same ones. */
function twoFolders(shareKeys: boolean): { dataDir: string; keys: string }[] {
  const made = [0, 1].map(() => mkdtempSync(join(tmpdir(), 'agentkeys-')))
  folders.push(...made)
  return made.map((dataDir) => ({ dataDir, keys: shareKeys ? (made[0] as string) : dataDir }))
}

const isKeyFile = (name: string) => name.startsWith('ledger-key.json') || name.startsWith('oidc-keypair.json')

test('two brokers that start at once on an empty stream, ten times: both with one key, or one is refused and leaves no key file', async () => {
  for (let round = 0; round < 10; round += 1) {
    const shareKeys = round % 2 === 0
    const where = twoFolders(shareKeys)
    const started = await Promise.all(
      where.map(({ dataDir, keys }) =>
        BrokerProcess.spawn({
          dataDir,
          env: {
            ...home.env,
            ...ISSUER,
            BROKER_LEDGER_STREAM: `round-${round}`,
            BROKER_LEDGER_KEY_PATH: join(keys, 'ledger-key.json'),
            BROKER_OIDC_KEYPAIR_PATH: join(keys, 'oidc-keypair.json'),
          },
        }),
      ),
    )
    brokers.push(...started)
    const up = await Promise.all(started.map(listens))
    expect(up).toContain(true)
    const serving = started.filter((_, i) => up[i])
    const served = await Promise.all(serving.map((broker) => broker.get('/.well-known/jwks.json')))
    expect(new Set(served.map(({ body }) => JSON.stringify(body))).size).toBe(1)
    for (const broker of serving) {
      const { session } = await broker.session()
      expect(await broker.post('/v1/mint-oidc-jwt', session)).toMatchObject({ status: 200 })
    }
    for (const [i, { dataDir, keys }] of where.entries()) {
      const holdsKeys = shareKeys ? dataDir === keys : up[i]
      const found = readdirSync(dataDir).filter(isKeyFile).sort()
      expect(found).toEqual(holdsKeys ? ['ledger-key.json', 'oidc-keypair.json'] : [])
    }
    const source = await EsdbSource.open(home.url, `round-${round}`)
    expect((await verdictFrom(source)).findings).toEqual([])
    for (const broker of brokers.splice(0)) await broker.dispose()
  }
}, 600_000)
