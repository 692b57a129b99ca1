// The ledger was rolled back or forked, and a witness knows better: nothing is minted, and what it said is kept.

import { cpSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { parseSignedCheckpoint, verifyCheckpoint } from '../../src/domain/ledger/checkpoint.js'
import { parseWitnessRequest } from '../../src/domain/ledger/witness-request.js'
import { entriesOf } from '../support/audited-ledger.js'
import { BrokerProcess } from '../support/broker-process.js'
import type { MintReply } from '../support/received.js'
import { refusedStart } from '../support/refused-start.js'
import { ledgerPath, verifiedLedger } from '../support/verified-ledger.js'
import type { Answer, WitnessServer } from '../support/witness-server.js'
import { WitnessedFolder } from '../support/witnessed-broker.js'
import { until } from '../support/until.js'

const MINT = '/v1/mint-oidc-jwt'

let folder: WitnessedFolder
let witness: WitnessServer
let broker: BrokerProcess
let session: string

beforeEach(async () => {
  folder = await WitnessedFolder.open(1, 1)
  witness = folder.witness(1)
  await start()
})
afterEach(async () => {
  await broker.stop('SIGKILL')
  await verifiedLedger(folder.dataDir)
  await folder.dispose()
})

const ISSUER = { BROKER_OIDC_ISSUER: 'https://broker.example.com' }
const options = (env: Record<string, string> = folder.env) => ({
  dataDir: folder.dataDir,
  env: { ...env, ...ISSUER },
})

async function start(): Promise<void> {
  broker = await BrokerProcess.start(options())
  ;({ session } = await broker.session())
}

const mint = (): Promise<MintReply> => broker.post(MINT, session)

async function stopCosigned(): Promise<void> {
  await until(() => folder.witness(1).latest.size === entriesOf(folder.dataDir).length)
  expect(await broker.stop()).toBe(0)
}

interface Evidence {
  kind: string
  witness: { url: string }
  checkpoint: string
  request: string
  answer: { status: number; body: string }
}

/** What was saved as evidence: it must be enough to show it to others. */
function evidence(): Evidence {
  const found = JSON.parse(readFileSync(folder.alarmPath, 'utf8')) as Evidence
  const own = parseSignedCheckpoint(found.checkpoint)
  expect(verifyCheckpoint(own, [folder.log])).toMatchObject({ ok: true })
  expect(parseWitnessRequest(found.request).checkpoint.origin).toBe(folder.log.name)
  expect(found.witness.url).toBe(witness.url)
  return found
}

async function expectRefused(reason: RegExp, settings = options()): Promise<void> {
  const before = entriesOf(folder.dataDir).length
  const refused = await refusedStart(settings)
  expect(refused.code).toBe(1)
  expect(refused.reason).toMatch(reason)
  expect(refused.reason).toContain(folder.alarmPath)
  expect(refused.reason).toMatch(/run verify-ledger, restore the ledger, then move that file away/)
  // What is evidence now was not added to.
  expect(entriesOf(folder.dataDir)).toHaveLength(before)
}

/** The alarm is heard some time after the contradiction: minting has stopped then, and everything says why. */
async function expectStopped(kind: string): Promise<void> {
  await until(() => existsSync(folder.alarmPath))
  for (;;) {
    const { status, body } = await broker.get<{ ledger_ok: boolean; problems?: string[] }>('/readyz')
    if (status === 503) {
      expect(body.ledger_ok).toBe(false)
      expect(body.problems).toContainEqual(
        `ledger: a witness contradicts the ledger (${kind}): nothing is minted until an operator has looked at witness-alarm.json in BROKER_DATA_DIR`,
      )
      break
    }
    await pause(50)
  }
  const before = entriesOf(folder.dataDir).length
  const { status, body } = await mint()
  expect(status).toBe(500)
  expect(Object.keys(body)).toEqual(['error', 'message', 'reason'])
  expect(body.error).toBe('audit_error')
  expect(body.message).toContain('a witness contradicts the ledger')
  expect(entriesOf(folder.dataDir)).toHaveLength(before)
  // What was issued before can still be verified.
  expect(await broker.get('/.well-known/jwks.json')).toMatchObject({ status: 200 })
}

const LARGER = { size: 1_000, root: new Uint8Array(32).fill(7) }

function showLarger(): void {
  witness.latest = LARGER
  witness.shown = folder.signed(LARGER)
}

test('a witness that knows a larger tree at start: refused, until an operator has looked', async () => {
  expect(await mint()).toMatchObject({ status: 200 })
  await stopCosigned()
  const { latest, shown } = witness
  showLarger()
  await expectRefused(/witness w1 shows a larger tree under this ledger's signature/)
  expect(evidence()).toMatchObject({ kind: 'witness-ahead', answer: { status: 409, body: '1000\n' } })
  const first = readFileSync(folder.alarmPath, 'utf8')

  // Out of reach it says nothing, and what it said still stands.
  await folder.stopWitness(1)
  await expectRefused(/a witness contradicted the ledger in an earlier run/)
  // And nothing is gained by no longer asking.
  const unset = options({ BROKER_LEDGER_ORIGIN: folder.log.name })
  await expectRefused(/a witness contradicted the ledger in an earlier run/, unset)
  expect(readFileSync(folder.alarmPath, 'utf8')).toBe(first)

  await folder.restartWitness(1)
  witness = folder.witness(1)
  Object.assign(witness, { latest, shown })
  renameSync(folder.alarmPath, `${folder.alarmPath}.looked-at`)
  await start()
  expect(await mint()).toMatchObject({ status: 200 })
})

const reply = (status: number): Answer => ({ kind: 'reply', status })
const PAGE: Answer = {
  kind: 'reply',
  status: 422,
  body: '<html><h1>Unprocessable</h1></html>',
  headers: { 'content-type': 'text/html' },
}

test.each([
  { says: 'shows a larger tree', kind: 'witness-ahead', status: 409, turn: showLarger },
  {
    says: 'finds no consistency (422)',
    kind: 'fork',
    status: 422,
    turn: () => (witness.always = reply(422)),
  },
])('a witness that $says while mints go on: they stop', async ({ kind, status, turn }) => {
  await until(() => witness.latest.size === entriesOf(folder.dataDir).length)
  turn()
  // It waits for no witness, so this one is still handed out.
  expect(await mint()).toMatchObject({ status: 200 })
  await expectStopped(kind)
  expect(evidence()).toMatchObject({ kind, answer: { status } })

  witness.always = { kind: 'honest' }
  expect(await broker.stop()).toBe(0)
  await expectRefused(/a witness contradicted the ledger in an earlier run/)
})

test.each<[string, () => unknown]>([
  ["a proxy's error page under 422", () => (witness.always = PAGE)],
  ['a 422 that is not repeated', () => witness.script.push(reply(422))],
  ['a larger number without a signature', () => (witness.latest = LARGER)],
])('a witness that gives %s: mints that need no witness go on, also after a restart', async (_what, turn) => {
  await until(() => witness.latest.size === entriesOf(folder.dataDir).length)
  const honest = witness.latest
  turn()
  const asked = witness.requests.length
  expect(await mint()).toMatchObject({ status: 200 })
  await until(() => witness.requests.length > asked)
  expect(await mint()).toMatchObject({ status: 200 })
  expect(await broker.stop()).toBe(0)
  await start()
  expect(await mint()).toMatchObject({ status: 200 })
  expect(existsSync(folder.alarmPath)).toBe(false)

  if (witness.latest === LARGER) witness.latest = honest
  witness.always = { kind: 'honest' }
  await stopCosigned()
})

/** Puts an older copy of the ledger back, and of what else is named: by then its witness has cosigned more. */
async function rollBack(also: 'nothing' | 'all that knows better' | 'the whole folder'): Promise<number> {
  await stopCosigned()
  const older = mkdtempSync(join(tmpdir(), 'agentkeys-'))
  cpSync(folder.dataDir, older, { recursive: true })
  const { length } = entriesOf(older)
  await start()
  expect(await mint()).toMatchObject({ status: 200 })
  await stopCosigned()

  const trace = join(folder.dataDir, 'last-checkpoint')
  const readModels = join(folder.dataDir, 'audit.sqlite')
  expect([existsSync(trace), existsSync(readModels)]).toEqual([true, true])
  const removed =
    also === 'nothing' ? [ledgerPath(folder.dataDir)] : [ledgerPath(folder.dataDir), trace, readModels]
  for (const file of removed)
    for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
  if (also === 'the whole folder') cpSync(older, folder.dataDir, { recursive: true })
  else cpSync(ledgerPath(older), ledgerPath(folder.dataDir))
  rmSync(older, { recursive: true })
  expect(entriesOf(folder.dataDir)).toHaveLength(length)
  return length
}

test('an older copy of the ledger was put back: refused by what is known here, before any witness is asked', async () => {
  const size = await rollBack('nothing')
  const asked = witness.requests.length
  const { code, reason } = await refusedStart(options())
  expect(code).toBe(1)
  expect(reason).toContain(`the ledger has ${size} entries, and the read model was made of`)
  expect(reason).toContain('restore the missing entries from a backup, an export or a mirror')
  expect(witness.requests).toHaveLength(asked)
  expect(existsSync(folder.alarmPath)).toBe(false)
  expect(entriesOf(folder.dataDir)).toHaveLength(size)
})

test.each(['all that knows better', 'the whole folder'] as const)(
  'an older copy of the ledger was put back, and with it %s: refused by the larger size a witness knows',
  async (also) => {
    const size = await rollBack(also)
    await expectRefused(/shows a larger tree under this ledger's signature: the ledger was rolled back/)
    const { kind, checkpoint, answer } = evidence()
    expect(kind).toBe('witness-ahead')
    expect(parseSignedCheckpoint(checkpoint).size).toBe(size)
    expect(answer.body).toBe(`${witness.latest.size}\n`)
  },
)

test('an older copy was put back while its witness is out of reach: found out when the witness is back', async () => {
  await rollBack('the whole folder')
  const { latest } = witness
  await folder.stopWitness(1)
  await start()
  // The other history grows past what the witness knows: it is not the size that gives it away.
  while (entriesOf(folder.dataDir).length <= latest.size) expect(await mint()).toMatchObject({ status: 200 })

  await folder.restartWitness(1)
  witness = folder.witness(1)
  await expectStopped('fork')
  expect(evidence()).toMatchObject({ kind: 'fork', answer: { status: 422 } })
  expect(witness.latest).toEqual(latest)
})
