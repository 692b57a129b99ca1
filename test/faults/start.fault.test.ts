// Starts that must be refused, with a reason and a remedy and without touching anything; and starts that must not.

import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import Sqlite from 'better-sqlite3'

import { loadOrCreateLedgerKey } from '../../src/ledger/key.js'
import { BrokerProcess } from '../support/broker-process.js'
import { Received } from '../support/received.js'
import { refusedStart } from '../support/refused-start.js'
import { ledgerPath, verdictOn, verifiedLedger } from '../support/verified-ledger.js'

const ISSUER = 'https://broker.example.com'
const env = { BROKER_OIDC_ISSUER: ISSUER }

/** A broker's folder after some mints and an orderly end: each test gets a copy. */
let used: string
let entriesUsed: number
const received = new Received()
const folders: string[] = []

beforeAll(async () => {
  const broker = await BrokerProcess.start({ env })
  const { session } = await broker.session()
  for (let mint = 0; mint < 5; mint += 1) received.note(await broker.post('/v1/mint-oidc-jwt', session))
  expect(await broker.stop()).toBe(0)
  used = broker.dataDir
  entriesUsed = (await verifiedLedger(used)).entries.length
})
afterAll(() => rmSync(used, { recursive: true }))
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function copyOfUsed(): string {
  const folder = mkdtempSync(join(tmpdir(), 'agentkeys-'))
  folders.push(folder)
  cpSync(used, folder, { recursive: true, preserveTimestamps: true })
  return folder
}

/** Changes a ledger's file as somebody with the operator's rights can. */
function tamper(dataDir: string, sql: string): void {
  const db = new Sqlite(ledgerPath(dataDir))
  db.exec(`DROP TRIGGER ledger_no_update; DROP TRIGGER ledger_no_delete; ${sql}`)
  db.pragma('wal_checkpoint(TRUNCATE)')
  db.close()
}

async function expectUntouched(dataDir: string): Promise<void> {
  const ledger = await verifiedLedger(dataDir)
  expect(ledger.entries.length).toBe(entriesUsed)
  expect(received.unexplainedBy(ledger)).toEqual([])
}

test('a second broker on the same folder is refused, and the first goes on', async () => {
  const dataDir = copyOfUsed()
  const first = await BrokerProcess.start({ dataDir, env })
  try {
    const second = await refusedStart({ dataDir, env })
    expect(second.code).toBe(1)
    expect(second.reason).toContain(`BROKER_DATA_DIR ${dataDir}: another broker is running on it`)
    const { session } = await first.session()
    expect(await first.post('/v1/mint-oidc-jwt', session)).toMatchObject({ status: 200 })
  } finally {
    expect(await first.stop()).toBe(0)
  }
  expect(received.unexplainedBy(await verifiedLedger(dataDir))).toEqual([])
})

describe('the ledger is not the one the configuration speaks of', () => {
  test('another origin: the key file says so first', async () => {
    const dataDir = copyOfUsed()
    const { code, reason } = await refusedStart({
      dataDir,
      env: { BROKER_OIDC_ISSUER: 'https://other.example.com' },
    })
    expect(code).toBe(1)
    expect(reason).toMatch(
      /key of broker\.example\.com\/ledger, and this ledger is other\.example\.com\/ledger/,
    )
    expect(reason).toMatch(/set BROKER_LEDGER_ORIGIN \(or BROKER_OIDC_ISSUER\) back/)
    await expectUntouched(dataDir)
  })

  test('another origin, with a key of its own', async () => {
    const dataDir = copyOfUsed()
    const BROKER_LEDGER_KEY_PATH = join(dataDir, 'other-key.json')
    const { code, reason } = await refusedStart({
      dataDir,
      env: { BROKER_OIDC_ISSUER: 'https://other.example.com', BROKER_LEDGER_KEY_PATH },
    })
    expect(code).toBe(1)
    expect(reason).toMatch(/is the ledger of "broker\.example\.com\/ledger"/)
    expect(reason).toMatch(/set BROKER_LEDGER_ORIGIN \(or BROKER_OIDC_ISSUER\) back/)
    await expectUntouched(dataDir)
  })

  test('no ledger key: none is made that would be taken for it', async () => {
    const dataDir = copyOfUsed()
    rmSync(join(dataDir, 'ledger-key.json'))
    const { code, reason } = await refusedStart({ dataDir, env })
    expect(code).toBe(1)
    expect(reason).toMatch(/is there and its key is not: put the key back at .*ledger-key\.json/)
    expect(existsSync(join(dataDir, 'ledger-key.json'))).toBe(false)
    await expectUntouched(dataDir)
  })

  test('no ledger key, and no ledger, but a checkpoint of one', async () => {
    const dataDir = copyOfUsed()
    rmSync(join(dataDir, 'ledger-key.json'))
    for (const suffix of ['', '-wal', '-shm']) rmSync(ledgerPath(dataDir) + suffix, { force: true })
    const { code, reason } = await refusedStart({ dataDir, env })
    expect([code, reason]).toEqual([1, expect.stringContaining('its key is not')])
    expect(existsSync(join(dataDir, 'ledger-key.json'))).toBe(false)
  })

  test('another ledger key', async () => {
    const dataDir = copyOfUsed()
    rmSync(join(dataDir, 'ledger-key.json'))
    loadOrCreateLedgerKey(join(dataDir, 'ledger-key.json'), 'broker.example.com/ledger')
    const { code, reason } = await refusedStart({ dataDir, env })
    expect(code).toBe(1)
    expect(reason).toMatch(/opened with another ledger key.*put that key back at BROKER_LEDGER_KEY_PATH/)
    await expectUntouched(dataDir)
  })
})

describe('the ledger was changed while the broker was away', () => {
  const changes = [
    {
      change: 'its last entry is damaged',
      sql: `UPDATE ledger SET entry = replace(entry, '"aud":"sts', '"aud":"stS') WHERE idx = (SELECT max(idx) FROM ledger)`,
      reason: /not signed by a holder of the ledger key.*run verify-ledger/,
    },
    {
      change: 'an entry near the end is damaged',
      sql: `UPDATE ledger SET entry = replace(entry, '0x', '0y') WHERE idx = (SELECT max(idx) - 1 FROM ledger)`,
      reason: /damaged at or after entry.*run verify-ledger/,
    },
    {
      change: 'its last entry is no JSON',
      sql: `UPDATE ledger SET entry = '{' WHERE idx = (SELECT max(idx) FROM ledger)`,
      reason: /damaged at or after entry.*run verify-ledger/,
    },
    {
      change: 'its last two entries are gone',
      sql: 'DELETE FROM ledger WHERE idx > (SELECT max(idx) - 2 FROM ledger)',
      reason: /entries.*(?:missing|older copy)/,
    },
    { change: 'it is empty', sql: 'DELETE FROM ledger', reason: /entries|missing|older copy/ },
  ]
  test.each(changes)('$change: refused', async ({ sql, reason: expected }) => {
    const dataDir = copyOfUsed()
    tamper(dataDir, sql)
    const before = await verdictOn(ledgerPath(dataDir))
    const { code, reason } = await refusedStart({ dataDir, env })
    expect(code).toBe(1)
    expect(reason).toMatch(expected)
    // What is evidence now was not added to.
    expect(await verdictOn(ledgerPath(dataDir))).toEqual(before)
  })

  const restoreFrom = /restore the missing entries from a backup, an export or a mirror/
  test.each([
    ['the read model alone knows', ['last-checkpoint'], restoreFrom],
    [
      'the last checkpoint alone knows',
      ['audit.sqlite'],
      /older copy was put back\. Restore the newest copy/,
    ],
    ['both know', [], restoreFrom],
  ])('an older copy was put in its place: %s, and it is refused', async (_who, removed, remedy) => {
    const older = copyOfUsed()
    const dataDir = copyOfUsed()
    const broker = await BrokerProcess.start({ dataDir, env })
    const { session } = await broker.session()
    expect(await broker.post('/v1/mint-oidc-jwt', session)).toMatchObject({ status: 200 })
    expect(await broker.stop()).toBe(0)
    const { size, head } = await verdictOn(ledgerPath(dataDir))

    for (const suffix of ['', '-wal', '-shm']) {
      rmSync(ledgerPath(dataDir) + suffix, { force: true })
      for (const name of removed) rmSync(join(dataDir, name + suffix), { force: true })
    }
    cpSync(ledgerPath(older), ledgerPath(dataDir))
    const { code, reason } = await refusedStart({ dataDir, env })
    expect(code).toBe(1)
    expect(reason).toMatch(new RegExp(`${size}`))
    expect(reason).toMatch(remedy)
    // By itself the older copy is a valid ledger: only what was kept elsewhere shows that its end is gone.
    await expectUntouched(dataDir)
    const expected = { size, head: head as string }
    expect((await verdictOn(ledgerPath(dataDir), { expected })).firstFinding).toMatchObject({
      kind: 'cut-off',
    })
  })
})

describe('a key file that cannot be trusted is refused and not replaced', () => {
  const pem = (namedCurve: string) =>
    generateKeyPairSync('ec', { namedCurve }).privateKey.export({ type: 'pkcs8', format: 'pem' })
  const files = [
    {
      file: 'oidc-keypair.json',
      what: 'cut short',
      text: '{"kid":"v1-1","private_key_pem":"-----BEGIN',
      reason: /not JSON/,
    },
    {
      file: 'oidc-keypair.json',
      what: 'without a key',
      text: JSON.stringify({ kid: 'v1-1', private_key_pem: 'secret canary' }),
      reason: /no private key/,
    },
    {
      file: 'oidc-keypair.json',
      what: 'with a P-384 key',
      text: JSON.stringify({ kid: 'v1-1', private_key_pem: pem('P-384') }),
      reason: /must be EC P-256, not secp384r1/,
    },
    { file: 'ledger-key.json', what: 'cut short', text: '{"vkey":"broker.exa', reason: /not JSON/ },
    {
      file: 'ledger-key.json',
      what: 'malformed',
      text: '{"skey":"secret canary"}',
      reason: /skey is malformed/,
    },
    { file: 'auditor-token', what: 'too short', text: 'secret canary', reason: /64 lower-case hex digits/ },
  ]
  test.each(files)('$file $what', async ({ file, text, reason: expected }) => {
    const dataDir = copyOfUsed()
    writeFileSync(join(dataDir, file), text)
    const { code, reason } = await refusedStart({ dataDir, env })
    expect(code).toBe(1)
    expect(reason).toMatch(expected)
    expect(reason).toContain(join(dataDir, file))
    expect(reason).not.toContain('canary')
    expect(readFileSync(join(dataDir, file), 'utf8')).toBe(text)
    await expectUntouched(dataDir)
  })

  test.each(['oidc-keypair.json', 'ledger-key.json', 'auditor-token'])(
    '%s that others can read',
    async (file) => {
      const dataDir = copyOfUsed()
      chmodSync(join(dataDir, file), 0o644)
      const { code, reason } = await refusedStart({ dataDir, env })
      expect(code).toBe(1)
      expect(reason).toMatch(/its mode is 0644, others can read it: chmod 600 it/)
      await expectUntouched(dataDir)
    },
  )
})

interface Jwks {
  keys: { kid: string }[]
}

describe('the signing key is replaced', () => {
  test('the new one is published and activated, the old one retired, and its tokens still verify', async () => {
    const dataDir = copyOfUsed()
    const keyFile = join(dataDir, 'oidc-keypair.json')
    const old = (JSON.parse(readFileSync(keyFile, 'utf8')) as { kid: string }).kid
    renameSync(keyFile, `${keyFile}.old`)
    const broker = await BrokerProcess.start({ dataDir, env })
    const { session } = await broker.session()
    const { body } = await broker.post<{ jwt: string }>('/v1/mint-oidc-jwt', session)
    const { kid } = JSON.parse(Buffer.from(body.jwt.split('.')[0] ?? '', 'base64url').toString()) as {
      kid: string
    }
    expect(kid).not.toBe(old)
    const { body: jwks } = await broker.get<Jwks>('/.well-known/jwks.json')
    // The key that was published to be the next one has taken over, and there is another one behind it.
    expect(jwks.keys.map((key) => key.kid)).toEqual([old, kid, expect.any(String)])
    expect(await broker.stop()).toBe(0)

    const ledger = await verifiedLedger(dataDir)
    expect(
      ledger.entries.slice(entriesUsed, entriesUsed + 4).map(({ type, data }) => [type, data['kid']]),
    ).toEqual([
      ['SigningKeyActivated', kid],
      ['SigningKeyRetired', old],
      ['SigningKeyPublished', jwks.keys[2]?.kid],
      ['BrokerStarted', undefined],
    ])
  })

  test('a retired key that is put back is refused: the ledger says that it signs nothing any more', async () => {
    const dataDir = copyOfUsed()
    const keyFile = join(dataDir, 'oidc-keypair.json')
    cpSync(keyFile, `${keyFile}.old`)
    rmSync(keyFile)
    const broker = await BrokerProcess.start({ dataDir, env })
    expect(await broker.stop()).toBe(0)
    const { size } = await verdictOn(ledgerPath(dataDir))

    renameSync(`${keyFile}.old`, keyFile)
    const { code, reason } = await refusedStart({ dataDir, env })
    expect(code).toBe(1)
    expect(reason).toMatch(/was retired or revoked.*BROKER_OIDC_KEYPAIR_PATH/)
    expect((await verifiedLedger(dataDir)).entries).toHaveLength(size)
  })
})

test('the original broker’s audit database is not taken for a read model, and not written to', async () => {
  const dataDir = copyOfUsed()
  const path = join(dataDir, 'original.sqlite')
  const original = new Sqlite(path)
  original.exec(
    "CREATE TABLE mint_log (id INTEGER PRIMARY KEY, outcome TEXT); INSERT INTO mint_log VALUES (1, 'ok')",
  )
  original.close()
  const before = readFileSync(path)
  const { code, reason } = await refusedStart({ dataDir, env: { ...env, BROKER_AUDIT_DB_PATH: path } })
  expect(code).toBe(1)
  expect(reason).toMatch(/BROKER_AUDIT_DB_PATH.*mint_log.*move the file away/)
  expect(readFileSync(path)).toEqual(before)
  expect(existsSync(`${path}-wal`)).toBe(false)
  await expectUntouched(dataDir)
})

test('a port in use is said in one clear line', async () => {
  const dataDir = copyOfUsed()
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const { port } = holder.address() as { port: number }
  try {
    const { code, reason } = await refusedStart({ dataDir, env, port })
    expect(code).toBe(1)
    expect(reason).toMatch(new RegExp(`--bind and --port: .*in use 127\\.0\\.0\\.1:${port}.*choose another`))
  } finally {
    holder.close()
  }
  expect(received.unexplainedBy(await verifiedLedger(dataDir))).toEqual([])
})

function lastMessage(log: string): string {
  return (JSON.parse(log.trimEnd().split('\n').at(-1) ?? '{}') as { msg: string }).msg
}

/** Runs before the program and sets its clock, in every thread of it. */
const SHIFTED_CLOCK = `
  const shift = Number(process.env.CLOCK_SHIFT_MS), Real = Date
  globalThis.Date = class extends Real {
    constructor(...from) { from.length ? super(...from) : super(Real.now() + shift) }
    static now() { return Real.now() + shift }
  }`

test('a clock that was set back a little: times in the ledger do not run backwards, tokens have the time of their entry', async () => {
  const dataDir = copyOfUsed()
  const last = (await verifiedLedger(dataDir)).entries.at(-1)
  // Less than the four minutes that clocks may be apart, and so far back that this test ends before it is caught up.
  const shiftMs = Date.parse(last?.time ?? '') - 200_000 - Date.now()
  const NODE_OPTIONS = `--import data:text/javascript,${encodeURIComponent(SHIFTED_CLOCK)}`
  const broker = await BrokerProcess.start({
    dataDir,
    env: { ...env, NODE_OPTIONS, CLOCK_SHIFT_MS: String(shiftMs) },
  })
  const { session } = await broker.session()
  const reply = await broker.post<{ jwt: string; expiration: number }>('/v1/mint-oidc-jwt', session)
  expect(reply.status).toBe(200)
  expect(await broker.stop()).toBe(0)

  const claims = Buffer.from(reply.body.jwt.split('.')[1] ?? '', 'base64url').toString()
  const { iat, exp } = JSON.parse(claims) as { iat: number; exp: number }
  expect([iat, exp]).toEqual([Math.floor(Date.parse(last?.time ?? '') / 1000), iat + 300])
  const added = (await verifiedLedger(dataDir)).entries.slice(entriesUsed)
  expect(added.map(({ time }) => time)).toEqual(added.map(() => last?.time))
})

test('SIGTERM under load: every request it took is answered and recorded, and it exits with 0', async () => {
  const dataDir = copyOfUsed()
  const broker = await BrokerProcess.start({ dataDir, env })
  const { session } = await broker.session()
  const statuses = new Set<number>()
  const loads = Array.from({ length: 16 }, async () => {
    for (;;) {
      try {
        const reply = await broker.post<object>('/v1/mint-oidc-jwt', session)
        received.note(reply)
        statuses.add(reply.status)
      } catch {
        return
      }
    }
  })
  while (received.count.jwts < 100) await new Promise((resolve) => setTimeout(resolve, 10))
  const code = await broker.stop('SIGTERM')
  await Promise.all(loads)

  expect(code).toBe(0)
  expect(lastMessage(broker.log)).toBe('broker shut down cleanly')
  expect([...statuses]).toEqual([200])
  expect(received.unexplainedBy(await verifiedLedger(dataDir))).toEqual([])
})
