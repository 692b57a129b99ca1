// Several broker processes on one ledger in EventStoreDB, as the stand-in plays it.

import { setTimeout as pause } from 'node:timers/promises'

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { type Sealed } from '../../src/domain/ledger/entry.js'
import { Meaning } from '../../src/domain/ledger/meaning.js'
import { Tree } from '../../src/domain/ledger/merkle.js'
import { linked } from '../../src/ledger/open-ledger.js'
import type { BrokerProcess } from '../support/broker-process.js'
import { openStore, readAll } from '../support/eventstoredb/ledger.js'
import { SharedBrokers } from '../support/shared-brokers.js'

const MINT = '/v1/mint-oidc-jwt'

let shared: SharedBrokers
beforeEach(async () => {
  shared = await SharedBrokers.open()
})
afterEach(() => shared.dispose())

interface Minted {
  jti: string
}

/** The whole ledger, linked entry by entry, without a finding of any kind. */
async function verified(): Promise<Sealed[]> {
  const store = openStore(shared.standIn.url)
  const entries = linked(undefined, await readAll(store))
  await store.close()
  const findings: unknown[] = []
  const meaning = new Meaning((finding) => findings.push(finding))
  for (const { entry } of entries) meaning.take(entry)
  expect(findings).toEqual([])
  return entries
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

/** Size and root that a broker shows, once it shows at least `size` entries. */
async function checkpointFrom(broker: BrokerProcess, size: number): Promise<{ size: number; root: string }> {
  for (;;) {
    const text = await (await fetch(`${broker.url}/ledger/checkpoint`)).text()
    const [, shown, root] = text.split('\n')
    if (Number(shown) >= size) return { size: Number(shown), root: root as string }
    await pause(50)
  }
}

async function ready(broker: BrokerProcess): Promise<{ status: string; signer_ok: boolean }> {
  return (await broker.get<{ status: string; signer_ok: boolean }>('/readyz')).body
}

test('what one broker records, all know: each mint once, one JWKS, one tree', async () => {
  const first = await shared.add()
  // Both at the same moment, with the same key.
  const others = await Promise.all([shared.add(), shared.add()])
  const brokers = [first, ...others]
  const sessions = await Promise.all(brokers.map((broker) => broker.session()))
  const replies = await Promise.all(
    Array.from({ length: 60 }, async (_, i) => brokers[i % 3]?.post<Minted>(MINT, sessions[i % 3]?.session)),
  )
  expect(replies.filter((reply) => reply?.status !== 200)).toEqual([])

  const entries = await verified()
  expect(issued(entries).sort()).toEqual(replies.map((reply) => reply?.body.jti).sort())
  for (const broker of brokers) {
    expect(await jwks(broker)).toEqual(await jwks(first))
    const { size, root } = await checkpointFrom(broker, entries.length)
    expect({ size, root }).toEqual({ size: entries.length, root: rootAt(entries, size) })
    expect(await ready(broker)).toMatchObject({ status: 'ready' })
  }
}, 120_000)

test('a broker whose key another one replaced mints no more, and says so; the new key is everywhere', async () => {
  const old = await shared.add()
  const { session } = await old.session()
  expect((await old.post(MINT, session)).status).toBe(200)
  const fresh = await shared.add({ ownKey: true })

  while ((await jwks(old)).keys.length < 2) await pause(20)
  expect(await jwks(old)).toEqual(await jwks(fresh))
  const refused = await old.post<{ error: string; message: string }>(MINT, session)
  expect(refused).toMatchObject({ status: 503, body: { error: 'ledger_unavailable' } })
  expect(refused.body.message).toContain('BROKER_OIDC_KEYPAIR_PATH')
  expect(await ready(old)).toMatchObject({ signer_ok: false })
  expect((await fresh.post(MINT, (await fresh.session()).session)).status).toBe(200)
  await verified()
}, 120_000)

test('brokers killed in turn under load: what was handed out is in the ledger once, and no checkpoint is contradicted', async () => {
  for (let i = 0; i < 4; i += 1) await shared.add()
  const handedOut: string[] = []
  const checkpoints: { size: number; root: string }[] = []
  let over = false
  const caller = async (slot: number) => {
    while (!over) {
      const broker = shared.brokers[slot] as BrokerProcess
      try {
        const { session } = await broker.session()
        const { status, body } = await broker.post<Minted>(MINT, session)
        if (status === 200) handedOut.push(body.jti)
      } catch {
        // It was killed; its next process takes the slot.
        await pause(100)
      }
    }
  }
  const callers = Array.from({ length: 16 }, (_, i) => caller(i % 4))
  for (let round = 0; round < 4; round += 1) {
    await pause(1_500)
    for (const broker of shared.brokers) checkpoints.push(await checkpointFrom(broker, 0))
    const victim = shared.brokers[round] as BrokerProcess
    await victim.stop('SIGKILL')
    await pause(500)
    shared.brokers[round] = await victim.restart()
  }
  over = true
  await Promise.all(callers)

  const entries = await verified()
  const ids = issued(entries)
  expect(new Set(ids).size).toBe(ids.length)
  expect(handedOut.length).toBeGreaterThan(50)
  expect(handedOut.filter((jti) => !ids.includes(jti))).toEqual([])
  for (const broker of shared.brokers) checkpoints.push(await checkpointFrom(broker, entries.length))
  for (const { size, root } of checkpoints)
    expect({ size, root }).toEqual({ size, root: rootAt(entries, size) })
}, 180_000)
