// What needs witnesses is never handed out without their quorum, whatever they do; what does not, never waits for them.

import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'

import { parseSignedCheckpoint, verifyCheckpoint } from '../../src/domain/ledger/checkpoint.js'
import { parsePolicy } from '../../src/domain/ledger/policy.js'
import { parseProof } from '../../src/domain/ledger/proof.js'
import { verifyReceipt } from '../../src/domain/ledger/receipt.js'
import { formatSizeReply, SIZE_MEDIA_TYPE } from '../../src/domain/ledger/witness-request.js'
import { DATA_ROLE_ARN } from '../../tools/local-aws/default-account.js'
import { entriesDuring, expectVerified } from '../support/audited-ledger.js'
import { type BrokerWithAws, OTHER_ROLE_ARN, startBrokerWithAws } from '../support/broker-with-aws.js'
import type { MintReply } from '../support/received.js'
import { until } from '../support/until.js'
import { verifyLedger } from '../support/verify-ledger.js'
import type { Answer } from '../support/witness-server.js'
import { WitnessedFolder } from '../support/witnessed-broker.js'

const [JWT, CREDS] = ['/v1/mint-oidc-jwt', '/v1/mint-aws-creds']
const [PLAIN, GATED] = ['https://plain.example.com', 'https://gated.example.com']
const BOTH = ['witness.example/w1', 'witness.example/w2']

const TOO_FEW =
  /^ledger unavailable: too few witnesses cosigned in time: nothing is handed out \((?:w1: .+; )?w2: (?:no answer yet|[a-z-]+, .+)\)$/

/** Two witnesses, and both must cosign. The second one is the one that things happen to. */
let folder: WitnessedFolder
let world: BrokerWithAws
let session: string

beforeAll(async () => {
  folder = await WitnessedFolder.open(2, 2)
  const env = {
    ...folder.env,
    BROKER_ALLOWED_AUDIENCES: `${PLAIN},${GATED}`,
    BROKER_WITNESSED_AUDIENCES: GATED,
    BROKER_ALLOWED_ROLE_ARNS: OTHER_ROLE_ARN,
    BROKER_WITNESSED_ROLES: OTHER_ROLE_ARN,
    BROKER_WITNESS_TIMEOUT_SECONDS: '1',
  }
  world = await startBrokerWithAws({ dataDir: folder.dataDir, env })
  ;({ session } = await world.broker.session())
})
afterEach(() => expectVerified(folder.dataDir))
afterAll(async () => {
  await world.dispose()
  await folder.dispose()
})

const mint = (path: string, body: object): Promise<MintReply> => world.broker.post(path, session, body)

/** Who cosigned the receipt of what was minted; that it proves the mint is checked on the way. */
function cosigners({ body }: MintReply): string[] {
  const { receipt } = body.ledger as unknown as { receipt: string }
  const policy = { ...parsePolicy(folder.policy(2)), quorum: 'none' }
  const verdict = verifyReceipt(parseProof(receipt), policy, { jwt: body.jwt })
  if (!verdict.ok) throw new Error(`the receipt does not verify: ${verdict.problem}`)
  return verdict.cosignatures.map(({ witness }) => witness.name)
}

function expectNothingReleased({ status, body }: MintReply): void {
  expect(status).toBe(503)
  expect(body).toEqual({
    error: 'ledger_unavailable',
    message: expect.stringMatching(TOO_FEW) as unknown,
    reason: 'ledger-unavailable',
  })
}

/** Asks again as a caller does who was asked to: a witness that was in trouble is given some time. */
async function mintedAtLast(path: string, body: object): Promise<MintReply> {
  let reply = await mint(path, body)
  await until(
    async () => {
      if (reply.status === 200) return true
      expectNothingReleased(reply)
      reply = await mint(path, body)
      return false
    },
    () => 'the witnesses are well again, and nothing is released',
  )
  return reply
}

const status = (code: number, headers?: Record<string, string>): Answer => ({
  kind: 'reply',
  status: code,
  body: 'the witness says no\n',
  ...(headers && { headers }),
})
const lie = (about: 'tree' | 'key' | 'bit' | 'name'): Answer => ({ kind: 'lie', about })

const TROUBLE: [string, Answer][] = [
  ...[204, 400, 401, 403, 404, 418, 429, 500, 503].map((code): [string, Answer] => [
    `answers ${code}`,
    status(code),
  ]),
  ['answers 301 to itself', status(301, { location: '/w/add-checkpoint' })],
  ['answers 429 with Retry-After', status(429, { 'retry-after': '1' })],
  [
    'answers 409 with a size that it then denies',
    { ...status(409, { 'content-type': SIZE_MEDIA_TYPE }), body: formatSizeReply(1) } as Answer,
  ],
  ['answers 409 with a size that is none', status(409, { 'content-type': SIZE_MEDIA_TYPE })],
  ['answers 200 with nothing', { kind: 'reply', status: 200 }],
  ['answers 200 with what is no signature', status(200)],
  ['cosigns another tree', lie('tree')],
  ['cosigns by another key', lie('key')],
  ['cosigns by another key under its own name and ID', lie('name')],
  ['cosigns with a bit flipped', lie('bit')],
  ['takes the request and is slow', { kind: 'held' }],
  ['takes the request and never answers', { kind: 'silent' }],
  ['answers without end', { kind: 'flood' }],
  ['resets the connection', { kind: 'reset' }],
]

test.each(TROUBLE)('a witness that %s: nothing that needs it is released', async (_what, answer) => {
  folder.witness(2).always = answer
  await expectHeldBack()
  folder.witness(2).letGo()
  folder.witness(2).always = { kind: 'honest' }
  expect(cosigners(await mintedAtLast(JWT, { audience: GATED }))).toEqual(BOTH)
})

test('a witness that is down: nothing that needs it is released until it is back', async () => {
  await folder.stopWitness(2)
  await expectHeldBack()
  await folder.restartWitness(2)
  expect(cosigners(await mintedAtLast(JWT, { audience: GATED }))).toEqual(BOTH)
})

/** While the second witness gives no cosignature. */
async function expectHeldBack(): Promise<void> {
  const entries = await entriesDuring(folder.dataDir, async () =>
    expectNothingReleased(await mint(JWT, { audience: GATED })),
  )
  // It was announced, so it stays: an entry without a credential is no harm.
  expect(entries.map(({ type }) => type)).toEqual(['SessionValidated', 'JwtIssued'])

  const plain = await mint(JWT, { audience: PLAIN })
  expect(plain.status).toBe(200)
  expect(cosigners(plain)).not.toContain(BOTH[1])
  // It was answered although the witness has seen nothing of it yet.
  expect(folder.witness(2).latest.size).toBeLessThanOrEqual(plain.body.ledger?.index as number)
}

test.each([
  { what: 'a JWT for an audience that is not listed', path: JWT, body: { audience: PLAIN }, gated: false },
  { what: 'a JWT for a listed audience', path: JWT, body: { audience: GATED }, gated: true },
  { what: 'a JWT for a role that is not listed', path: JWT, body: { role: DATA_ROLE_ARN }, gated: false },
  { what: 'a JWT for a listed role', path: JWT, body: { role: OTHER_ROLE_ARN }, gated: true },
  { what: 'credentials for a role that is not listed', path: CREDS, body: {}, gated: false },
  {
    what: 'credentials for a listed role',
    path: CREDS,
    body: { role: OTHER_ROLE_ARN, duration_seconds: 900 },
    gated: true,
  },
])('$what: needs witnesses: $gated', async ({ path, body, gated }) => {
  folder.witness(2).always = { kind: 'held' }
  const reply = await mint(path, body)
  if (gated) expectNothingReleased(reply)
  else expect(reply.status).toBe(200)
  folder.witness(2).letGo()
  const later = await mintedAtLast(path, body)
  if (gated) expect(cosignedBy(later)).toEqual(BOTH)
})

/** Of credentials: they have no JWT to be held against. */
function cosignedBy({ body }: MintReply): string[] {
  const { checkpoint } = parseProof((body.ledger as unknown as { receipt: string }).receipt)
  return cosignersOf(checkpoint)
}

function cosignersOf(checkpoint: ReturnType<typeof parseSignedCheckpoint>): string[] {
  const witnesses = folder.witnesses.map(({ key }) => key)
  const verdict = verifyCheckpoint(checkpoint, [folder.log], witnesses)
  return verdict.ok ? verdict.cosignatures.map(({ witness }) => witness.name) : [verdict.problem]
}

/** As an operator does, beside the broker. */
async function exportTiles(directory: string): Promise<void> {
  const main = fileURLToPath(new URL('../../src/main.js', import.meta.url))
  const env = { PATH: process.env['PATH'], ...world.broker.options.env, BROKER_DATA_DIR: folder.dataDir }
  await promisify(execFile)(process.execPath, [main, 'export-tiles', directory], { env })
}

test('an auditor with the policy verifies the broker while it runs; a policy with a third witness is not met', async () => {
  await mintedAtLast(JWT, { audience: GATED })
  const url = `${world.broker.url}/ledger`
  const served = parseSignedCheckpoint(await (await fetch(`${url}/checkpoint`)).text())
  expect(cosignersOf(served)).toEqual(BOTH)

  const policyPath = join(folder.dataDir, 'policy')
  const options = ['--policy', policyPath, '--token-file', join(folder.dataDir, 'auditor-token')]
  writeFileSync(policyPath, folder.policy(2))
  const good = await verifyLedger(url, ...options)
  expect(good).toMatchObject({ code: 0, report: { ok: true, findingsByKind: {} } })
  expect(good.report.log?.cosignatures.map(({ witness }) => witness)).toEqual(BOTH)

  // And of the files that the log was mirrored as, beside the broker.
  const mirror = join(folder.dataDir, 'mirror')
  await exportTiles(mirror)
  const mirrored = await verifyLedger(mirror, '--policy', policyPath)
  expect(mirrored).toMatchObject({ code: 0, report: { ok: true, findingsByKind: {} } })
  expect(mirrored.report.log?.cosignatures.map(({ witness }) => witness)).toEqual(BOTH)

  const stranger = await WitnessedFolder.open(3, 1)
  const [third] = stranger.witnesses.slice(2)
  writeFileSync(policyPath, folder.policy(3, [...folder.witnesses, ...(third ? [third] : [])]))
  await stranger.dispose()
  expect(await verifyLedger(url, ...options)).toMatchObject({
    code: 1,
    report: { ok: false, findingsByKind: { 'quorum-missing': 1 } },
  })
})
