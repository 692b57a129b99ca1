import { SIGNATURES, signed, SIGNER } from '../../test/support/ledger-signer.js'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

import { LedgerBuilder, type Mint } from '../../test/support/ledger-builder.js'
import { type Served, served } from '../../test/support/served.js'
import { MemoryEventStore } from '../event-store/memory.js'
import { AuditQuery } from '../projections/audit-query.js'
import { type MintRow } from '../projections/mints.js'
import { Projector } from '../projections/projector.js'
import { KeysView } from '../projections/signing-keys.js'
import { EmbeddedSessions } from '../session/embedded-sessions.js'
import { SessionBackend, SessionError } from '../session/session-backend.js'
import { loadOrCreateToken } from '../storage/token-file.js'
import { AuditController } from './audit.controller.js'
import { AuditAccess } from './audit-access.js'

interface Reply {
  mints: MintRow[]
  next_cursor: string | null
  ledger: { size_seen: number }
}

let folder: string
let server: Served
let auditorToken: string
let alice: { session: string; wallet: string }
let bob: { session: string; wallet: string }
let size: number
let mintsOfAlice: Mint[]
const cleanup: (() => unknown)[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'audit-http-'))
  const sessions = new EmbeddedSessions(join(folder, 'sessions.sqlite'), () => new Date())
  alice = await sessions.create('alice')
  bob = await sessions.create('bob')

  const store = new MemoryEventStore()
  const ledger = tellTheStory()
  size = ledger.entries.length
  await store.append(signed(ledger.entries), 0)
  const readModelPath = join(folder, 'audit.sqlite')
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const projector = new Projector(store, new KeysView(() => new Date(), SIGNATURES), {
    readModelPath,
    trust: { ledgerKey: SIGNER.key },
    log,
  })
  await projector.start()
  await projector.caughtUpTo(size)

  const tokenPath = join(folder, 'auditor-token')
  const token = loadOrCreateToken(tokenPath)
  auditorToken = readFileSync(tokenPath, 'utf8').trim()
  const audit = new AuditQuery(readModelPath)
  server = await served(
    [AuditController],
    [
      { provide: SessionBackend, useValue: sessions },
      { provide: AuditQuery, useValue: audit },
      {
        provide: AuditAccess,
        useFactory: (backend: SessionBackend) => new AuditAccess(backend, token),
        inject: [SessionBackend],
      },
    ],
  )
  cleanup.push(
    () => sessions.close(),
    () => projector.stop(),
    () => audit.close(),
    () => server.close(),
  )
})
afterAll(async () => {
  for (const step of cleanup.reverse()) await step()
  rmSync(folder, { recursive: true })
})

/** Three mints of alice's and two of bob's, 7 ms apart. */
function tellTheStory(): LedgerBuilder {
  const ledger = LedgerBuilder.opened()
  const of = ({ wallet }: { wallet: string }) => ledger.mint(wallet)
  const [first, second, third] = [of(alice), of(alice), of(alice)]
  mintsOfAlice = [first, second, third]
  ledger.oidcMint(first).oidcMint(of(bob)).awsMint(second).refused(of(bob))
  ledger.session(third, { agent: 'crawler' }).stsJwt(third).credsFailed(third)
  return ledger
}

async function get(query: string, bearer: string | undefined = auditorToken, scheme = 'Bearer') {
  const headers: Record<string, string> = bearer === '' ? {} : { authorization: `${scheme} ${bearer}` }
  const response = await fetch(`${server.url}/v1/audit/mints${query}`, { headers })
  return { status: response.status, headers: response.headers, body: (await response.json()) as Reply }
}

const idsOf = ({ body }: { body: Reply }) => body.mints.map((row) => row.mint_id)
const newestFirst = (mints: Mint[]) => mints.map(({ mintId }) => mintId).reverse()

describe('who sees what', () => {
  test('the auditor sees the mints of every wallet', async () => {
    const { status, headers, body } = await get('')
    expect(status).toBe(200)
    expect(headers.get('cache-control')).toBe('no-store')
    expect(body.mints.map((row) => row.wallet)).toEqual(
      [alice, bob, alice, bob, alice].map(({ wallet }) => wallet),
    )
    expect([body.next_cursor, body.ledger]).toEqual([null, { size_seen: size }])
  })

  test('a session sees those of its own wallet', async () => {
    expect(idsOf(await get('', alice.session))).toEqual(newestFirst(mintsOfAlice))
    expect((await get('', bob.session)).body.mints.map((row) => row.wallet)).toEqual([bob.wallet, bob.wallet])
  })

  test('a session may name its own wallet, in any spelling', async () => {
    const spelled = `0x${alice.wallet.slice(2).toUpperCase()}`
    expect(idsOf(await get(`?wallet=${spelled}`, alice.session))).toEqual(newestFirst(mintsOfAlice))
    expect(idsOf(await get(`?wallet=${spelled}`))).toEqual(newestFirst(mintsOfAlice))
  })

  test('a session that names another wallet is refused', async () => {
    expect(await get(`?wallet=${bob.wallet}`, alice.session)).toMatchObject({
      status: 403,
      body: { error: 'forbidden', message: 'forbidden: a session sees only the mints of its own wallet' },
    })
  })

  test("a session finds nothing by the ids of another's mints, just as if there were none", async () => {
    const [first, second] = mintsOfAlice as [Mint, Mint]
    const key = (await get(`?jti=${second.mintId}`)).body.mints[0]?.access_key_id
    const none = { mints: [], next_cursor: null, ledger: { size_seen: size } }
    expect((await get(`?jti=${first.mintId}`, bob.session)).body).toEqual(none)
    expect((await get(`?access_key_id=${key}`, bob.session)).body).toEqual(none)
    expect((await get('?jti=00000000-0000-7000-8000-000000000000', bob.session)).body).toEqual(none)
  })

  test("a cursor of the auditor's shows a session no more than its own", async () => {
    const { body } = await get('?limit=1')
    expect(idsOf(await get(`?cursor=${body.next_cursor}`, bob.session)).length).toBe(2)
    expect(
      (await get(`?cursor=${body.next_cursor}`, bob.session)).body.mints.every(
        (m) => m.wallet === bob.wallet,
      ),
    ).toBe(true)
  })

  test.each([
    ['', 'Bearer'],
    ['nobody', 'Bearer'],
    ['0'.repeat(64), 'Bearer'],
    ['auditor', 'bearer'],
    ['auditor', 'Basic'],
  ])('nothing is shown with bearer %j and scheme %s', async (bearer, scheme) => {
    const { status, body } = await get('', bearer === 'auditor' ? auditorToken : bearer, scheme)
    expect([status, body]).toMatchObject([401, { error: 'unauthorized' }])
  })
})

describe('filters', () => {
  test('by kind, outcome, jti and access key id', async () => {
    const [first, second, third] = newestFirst(mintsOfAlice).reverse() as [string, string, string]
    const own = (query: string) => get(query, alice.session).then(idsOf)
    expect(await own('?kind=oidc_jwt')).toEqual([first])
    expect(await own('?kind=aws_creds')).toEqual([third, second])
    expect(await own('?kind=aws_creds&outcome=ok')).toEqual([second])
    expect(await own('?outcome=sts_error')).toEqual([third])
    expect(await own('?outcome=pending')).toEqual([])
    expect(await own(`?jti=${first}`)).toEqual([first])
    const { access_key_id } = (await get(`?jti=${second}`)).body.mints[0] as MintRow
    expect(await own(`?access_key_id=${access_key_id}`)).toEqual([second])
    expect(await own(`?access_key_id=${access_key_id}&kind=oidc_jwt`)).toEqual([])
  })

  test('by time: from since on, and before until', async () => {
    const times = (await get('', alice.session)).body.mints.map((row) => row.first_seen_at)
    const [third, second, first] = times as [string, string, string]
    const count = async (query: string) => (await get(query, alice.session)).body.mints.length
    expect(await count(`?since=${first}`)).toBe(3)
    expect(await count(`?since=${second}`)).toBe(2)
    expect(await count(`?since=${second}&until=${third}`)).toBe(1)
    expect(await count(`?until=${first}`)).toBe(0)
    expect(await count('?since=2030-01-01T00:00:00Z')).toBe(0)
  })

  test('a row is what the ledger says, in snake case', async () => {
    const { body } = await get('?outcome=sts_error')
    expect(body.mints).toMatchObject([
      {
        mint_id: mintsOfAlice[2]?.mintId,
        wallet: alice.wallet,
        agent: 'crawler',
        backend: 'embedded',
        kind: 'aws_creds',
        outcome: 'sts_error',
        reason: 'throttled',
        detail: 'Rate exceeded',
        access_key_id: null,
        last_index: size - 1,
        first_index: size - 3,
        jwt_issued_index: size - 2,
      },
    ])
  })
})

test('pages of one give what one page gives', async () => {
  const ids: string[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const page = await get(`?limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`)
    ids.push(...idsOf(page))
    cursor = page.body.next_cursor
  }
  expect(ids).toEqual(idsOf(await get('')))
})

describe('bad input is a 400 that names the field', () => {
  test.each([
    ['wallet=0xabc', 'wallet must be'],
    [`wallet=%20${'0x'.padEnd(42, 'a')}`, 'wallet must be'],
    [`wallet=${'0x'.padEnd(42, '%EF%BC%91')}`, 'wallet must be'],
    ['wallet=', 'wallet must be'],
    [`wallet=${'0x'.padEnd(42, 'a')}&wallet=${'0x'.padEnd(42, 'b')}`, 'wallet must be'],
    ['kind=oidc', 'kind must be one of oidc_jwt, aws_creds'],
    ['kind=oidc_jwt&kind=oidc_jwt', 'kind must be'],
    ['outcome=OK', 'outcome must be one of'],
    ['outcome[]=ok', 'outcome[]'],
    ['jti=1', 'jti must be'],
    [`jti='%20OR%201=1--`, 'jti must be'],
    ['access_key_id=AKIA', 'access_key_id must be'],
    ['since=yesterday', 'since must be RFC 3339'],
    ['since=2026-11-20', 'since must be RFC 3339'],
    ['since=2026-02-30T00:00:00Z', 'since names no moment'],
    ['until=2026-11-20T25:00:00Z', 'until names no moment'],
    ['until=1700000000', 'until must be RFC 3339'],
    ['since=2026-11-21T00:00:00Z&until=2026-11-20T00:00:00Z', 'since must not be after until'],
    ['limit=0', 'limit must be 1 to 1000'],
    ['limit=1001', 'limit must be 1 to 1000'],
    ['limit=1e2', 'limit must be 1 to 1000'],
    ['limit=-1', 'limit must be 1 to 1000'],
    ['cursor=', 'cursor must be'],
    ['cursor=AAAA', 'cursor must be'],
    ['cursor=../../etc/passwd', 'cursor must be'],
    ['agent=crawler', 'agent'],
  ])('%s', async (query, message) => {
    const { status, body } = await get(`?${query}`)
    const { error, message: said } = body as unknown as { error: string; message: string }
    expect([status, error]).toEqual([400, 'bad_request'])
    expect(said).toContain(message)
  })
})

test('a session backend that does not answer is a 502, and the auditor needs none', async () => {
  class Away extends SessionBackend {
    validate(): Promise<never> {
      return Promise.reject(new SessionError('backend-unreachable', 'connection refused'))
    }
    healthy(): Promise<boolean> {
      return Promise.resolve(false)
    }
    close(): Promise<void> {
      return Promise.resolve()
    }
  }
  const access = new AuditAccess(new Away(), loadOrCreateToken(join(folder, 'auditor-token')))
  expect(await access.resolve(auditorToken)).toEqual({ role: 'auditor' })
  await expect(access.resolve('other')).rejects.toMatchObject({ code: 'backend-unreachable' })
})
