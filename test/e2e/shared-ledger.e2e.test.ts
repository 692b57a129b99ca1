// Several broker processes on one ledger in EventStoreDB, as the stand-in plays it.

import { randomInt } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { roleSessionName } from '../../src/domain/aws-session.js'
import { parseSignedCheckpoint, verifyCheckpoint } from '../../src/domain/ledger/checkpoint.js'
import { type Sealed } from '../../src/domain/ledger/entry.js'
import { Tree } from '../../src/domain/ledger/merkle.js'
import { parseVkey } from '../../src/domain/ledger/note.js'
import { startLocalAws } from '../../tools/local-aws/server.js'
import type { BrokerProcess } from '../support/broker-process.js'
import { awsEnv } from '../support/broker-with-aws.js'
import { Received, repeated } from '../support/received.js'
import { seededRandom } from '../support/seeded-random.js'
import { SharedBrokers } from '../support/shared-brokers.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { VerifiedLedger } from '../support/verified-ledger.js'

const MINT = '/v1/mint-oidc-jwt'
/** Of the moments at which brokers are killed. */
const SEED = Number(process.env['KILL_SEED'] ?? randomInt(1_000_000))

let shared: SharedBrokers
beforeEach(async () => {
  shared = await SharedBrokers.open()
})
const cleanup: (() => unknown)[] = []
afterEach(async () => {
  await shared.dispose()
  for (const step of cleanup.splice(0)) await step()
})

interface Minted {
  jti: string
}

function rootAt(entries: readonly Sealed[], size: number): string {
  const tree = new Tree()
  for (const { leafHash } of entries.slice(0, size)) tree.append(Buffer.from(leafHash, 'hex'))
  return Buffer.from(tree.root()).toString('base64')
}

const issued = (entries: readonly Sealed[]) =>
  entries.filter(({ entry }) => entry.type === 'JwtIssued').map(({ entry }) => entry.data['mintId'] as string)

async function jwks(broker: BrokerProcess): Promise<{ keys: { kid: string }[] }> {
  return (await broker.get<{ keys: { kid: string }[] }>('/.well-known/jwks.json')).body
}

/** The checkpoint that a broker shows, once it shows at least `size` entries. */
async function checkpointText(broker: BrokerProcess, size: number): Promise<string> {
  for (;;) {
    const text = await (await fetch(`${broker.url}/ledger/checkpoint`)).text()
    if (Number(text.split('\n')[1]) >= size) return text
    await pause(50)
  }
}

async function checkpointFrom(broker: BrokerProcess, size: number): Promise<{ size: number; root: string }> {
  const [, shown, root] = (await checkpointText(broker, size)).split('\n')
  return { size: Number(shown), root: root as string }
}

async function ready(broker: BrokerProcess): Promise<{ status: string; signer_ok: boolean }> {
  return (await broker.get<{ status: string; signer_ok: boolean }>('/readyz')).body
}

/** Resolves with what it says as soon as it is, or is not. */
async function isReady(broker: BrokerProcess, yes: boolean): Promise<{ status: string }> {
  for (;;) {
    const body = await ready(broker)
    if ((body.status === 'ready') === yes) return body
    await pause(50)
  }
}

test('what one broker records, all know: each mint once, one JWKS, one tree', async () => {
  const first = await shared.add()
  // Both at the same moment, with the same key.
  const others = await Promise.all([shared.add(), shared.add()])
  const brokers = [first, ...others]
  const sessions = await Promise.all(brokers.map((broker) => broker.session()))
  const replies = await Promise.all(
    Array.from({ length: 60 }, (_, i) =>
      (brokers[i % 3] as BrokerProcess).post<Minted>(MINT, sessions[i % 3]?.session),
    ),
  )
  expect(replies.filter((reply) => reply.status !== 200)).toEqual([])

  const entries = await shared.verified()
  expect(issued(entries).sort()).toEqual(replies.map((reply) => reply.body.jti).sort())
  for (const broker of brokers) {
    expect(await jwks(broker)).toEqual(await jwks(first))
    const { size, root } = await checkpointFrom(broker, entries.length)
    expect({ size, root }).toEqual({ size: entries.length, root: rootAt(entries, size) })
    await isReady(broker, true)
  }
})

test('a broker whose key another one replaced mints no more, and says so; the new key is everywhere', async () => {
  const old = await shared.add()
  const { session } = await old.session()
  expect((await old.post(MINT, session)).status).toBe(200)
  const fresh = await shared.add({ ownKey: true })

  while ((await jwks(old)).keys.length < 3) await pause(20)
  expect(await jwks(old)).toEqual(await jwks(fresh))
  const refused = await old.post<{ error: string; message: string }>(MINT, session)
  expect(refused).toMatchObject({ status: 503, body: { error: 'ledger_unavailable' } })
  expect(refused.body.message).toContain('BROKER_OIDC_KEYPAIR_PATH')
  expect(await ready(old)).toMatchObject({ signer_ok: false })
  expect((await fresh.post(MINT, (await fresh.session()).session)).status).toBe(200)
  await shared.verified()
})

test(`two brokers killed in turn under load for a minute: what anybody got is in the ledger once, and no checkpoint is contradicted (KILL_SEED=${SEED})`, async () => {
  // What AWS knows of the issuer is one of the brokers: the one that is not killed next.
  let living = 0
  const issuer = await TcpProxy.open(() => shared.brokers[living]?.options.port ?? 0)
  const issuerUrl = `http://127.0.0.1:${issuer.port}`
  const aws = await startLocalAws({ issuer: issuerUrl })
  cleanup.push(
    () => aws.close(),
    () => issuer.close(),
  )
  for (let i = 0; i < 2; i += 1) await shared.add({ more: { ...awsEnv(aws), BROKER_OIDC_ISSUER: issuerUrl } })
  const received = new Received()
  const checkpoints: string[] = []
  const stop = new AbortController()
  cleanup.push(() => stop.abort())
  const caller = async (nth: number) => {
    for (let turn = nth; !stop.signal.aborted; turn += 1) {
      const broker = shared.brokers[turn % 2] as BrokerProcess
      try {
        const { session } = await broker.session()
        received.note(await broker.post(PATHS[(turn >> 1) % 2] as string, session))
      } catch {
        // It was killed: the other one is asked.
        await pause(50)
      }
    }
  }
  const callers = Array.from({ length: 16 }, (_, i) => caller(i))
  const random = seededRandom(SEED)
  const minute = performance.now() + 60_000
  let kills = 0
  for (let slot = 0; kills < MIN_KILLS || performance.now() < minute; slot = 1 - slot) {
    await receivesSome(received)
    await pause(random() * 1_500)
    for (const broker of shared.brokers) checkpoints.push(await checkpointText(broker, 0))
    const victim = shared.brokers[slot] as BrokerProcess
    living = 1 - slot
    await victim.stop('SIGKILL')
    kills += 1
    await pause(300)
    shared.brokers[slot] = await victim.restart()
  }
  stop.abort()
  await Promise.all(callers)

  const entries = await shared.verified()
  const ledger = new VerifiedLedger(entries.map(({ entry }) => entry))
  expect(received.unexplainedBy(ledger)).toEqual([])
  expect(repeated(issued(entries))).toEqual([])
  expect(repeated(ledger.of('CredsMinted').map(({ data }) => data.accessKeyId))).toEqual([])
  // Record, act: whatever STS was asked for had been announced.
  const announced = new Set(issued(entries).map((mintId) => roleSessionName(mintId)))
  const asked = aws.calls.filter(({ action }) => action === 'AssumeRoleWithWebIdentity')
  expect(asked.filter((call) => !announced.has(call.roleSessionName ?? ''))).toEqual([])
  // There was something to lose, each time.
  expect(received.count.jwts).toBeGreaterThanOrEqual(MINTS_A_KILL * kills)
  expect(received.count.keys).toBeGreaterThanOrEqual(MINTS_A_KILL * kills)
  for (const broker of shared.brokers) checkpoints.push(await checkpointText(broker, entries.length))
  expectTrue(checkpoints, entries)
}, 900_000)

const PATHS = [MINT, '/v1/mint-aws-creds']
/** However long a kill and a new start take. */
const MIN_KILLS = 6
const MINTS_A_KILL = 25

/** Before each kill, so that there is something to lose however slow the machine is. */
async function receivesSome(received: Received): Promise<void> {
  const { jwts, keys } = received.count
  const enough = ({ count }: Received) =>
    count.jwts >= jwts + MINTS_A_KILL && count.keys >= keys + MINTS_A_KILL
  while (!enough(received)) await pause(20)
}

/** Each is signed with the ledger's key, and says of the ledger what it holds. */
function expectTrue(checkpoints: readonly string[], entries: readonly Sealed[]): void {
  const { vkey, origin } = entries[0]?.entry.data as { vkey: string; origin: string }
  const key = parseVkey(vkey)
  for (const text of checkpoints) {
    const checkpoint = parseSignedCheckpoint(Buffer.from(text))
    expect(verifyCheckpoint(checkpoint, [key])).toMatchObject({ ok: true })
    const { size, root } = checkpoint
    expect({ origin: checkpoint.origin, root: Buffer.from(root).toString('base64') }).toEqual({
      origin,
      root: rootAt(entries, size),
    })
  }
}

const cuts: [string, (proxy: TcpProxy) => void][] = [
  ['hears nothing more', (proxy) => proxy.silence()],
  ['is cut off', (proxy) => proxy.cut()],
]
test.each(cuts)(
  'a broker that %s is not ready, and is so again only when it knows what was written meanwhile',
  async (_what, cutOff) => {
    const there = await shared.add()
    const proxy = await TcpProxy.open(() => shared.standIn.port)
    try {
      const away = await shared.add({ url: `esdb://127.0.0.1:${proxy.port}?tls=false` })
      const { session } = await there.session()
      cutOff(proxy)
      await isReady(away, false)
      for (let i = 0; i < 20; i += 1) expect((await there.post(MINT, session)).status).toBe(200)
      expect(await isReady(there, true)).toMatchObject({ status: 'ready' })
      const { length } = await shared.verified()
      expect((await checkpointFrom(away, 0)).size).toBeLessThan(length)
      expect(await ready(away)).toMatchObject({ status: 'not_ready', ledger_ok: false })

      proxy.repair()
      await isReady(away, true)
      const entries = await shared.verified()
      const shown = await checkpointFrom(away, 0)
      expect(shown.size).toBeGreaterThanOrEqual(length)
      expect(shown).toEqual({ size: shown.size, root: rootAt(entries, shown.size) })
      const minted = await away.post<Minted>(MINT, (await away.session()).session)
      expect(minted.status).toBe(200)
      expect(issued(await shared.verified()).filter((id) => id === minted.body.jti)).toHaveLength(1)
    } finally {
      await proxy.close()
    }
  },
)
