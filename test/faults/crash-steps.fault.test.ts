// SIGKILL at each step between append, tile, checkpoint and reply: whatever was signed, by then or ever, is never
// contradicted by what the ledger is afterwards, and every credential handed out is found there.

import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'

import {
  parseCheckpoint,
  parseSignedCheckpoint,
  type SignedCheckpoint,
} from '../../src/domain/ledger/checkpoint.js'
import type { TreeHead } from '../../src/domain/ledger/merkle.js'
import { parseProof } from '../../src/domain/ledger/proof.js'
import { BrokerProcess } from '../support/broker-process.js'
import {
  KILL_AT_FILE,
  LEDGER_STEPS,
  REPLY_STEPS,
  SIGNED_FILE,
  WITNESS_STEPS,
} from '../support/crash-steps.js'
import { LedgerRoots } from '../support/ledger-roots.js'
import { type MintReply, Received } from '../support/received.js'
import { verifiedLedger } from '../support/verified-ledger.js'
import { WitnessedFolder } from '../support/witnessed-broker.js'
import { until } from '../support/until.js'

const MINT = '/v1/mint-oidc-jwt'
const WITNESSED = 'https://witnessed.example.com'
const PRELOADED = new URL('../support/kill-at.js', import.meta.url).href

let folder: WitnessedFolder
let broker: BrokerProcess
let running = false
/** What anybody was ever left with, over all crashes: there is one ledger for all of them. */
const received = new Received()
const shown: SignedCheckpoint[] = []

beforeAll(async () => {
  folder = await WitnessedFolder.open(1, 1)
})
beforeEach(async () => {
  if (!running) await start()
})
afterAll(async () => {
  await broker.stop('SIGKILL')
  await folder.dispose()
})

const killAtFile = () => join(folder.dataDir, 'kill-at')
const signedFile = () => join(folder.dataDir, 'signed')
const lastCheckpointPath = () => join(folder.dataDir, 'last-checkpoint')

async function spawn(): Promise<void> {
  broker = await BrokerProcess.spawn({
    dataDir: folder.dataDir,
    env: {
      ...folder.env,
      BROKER_OIDC_ISSUER: 'https://broker.example.com',
      BROKER_ALLOWED_AUDIENCES: WITNESSED,
      BROKER_WITNESSED_AUDIENCES: WITNESSED,
      NODE_OPTIONS: `--import ${PRELOADED}`,
      [KILL_AT_FILE]: killAtFile(),
      [SIGNED_FILE]: signedFile(),
    },
  })
}

async function start(): Promise<void> {
  await spawn()
  await broker.listening()
  running = true
}

async function killed(): Promise<void> {
  expect(await broker.exited()).toBe('SIGKILL')
  running = false
  rmSync(killAtFile())
}

/** Undefined when the broker was killed before the caller had all of the answer. */
async function mint(audience?: string): Promise<MintReply | undefined> {
  const { session } = await broker.session()
  try {
    return note(await broker.post(MINT, session, audience === undefined ? {} : { audience }))
  } catch {
    return undefined
  }
}

function note(reply: MintReply): MintReply {
  received.note(reply)
  const receipt = (reply.body.ledger as { receipt?: string } | undefined)?.receipt
  if (receipt !== undefined) shown.push(parseProof(receipt).checkpoint)
  return reply
}

async function served(): Promise<SignedCheckpoint> {
  const checkpoint = parseSignedCheckpoint(await (await fetch(`${broker.url}/ledger/checkpoint`)).text())
  shown.push(checkpoint)
  return checkpoint
}

const traced = () => parseSignedCheckpoint(readFileSync(lastCheckpointPath()))

/** Nothing of what came before is still on its way: the next step that is reached is that of the next append. */
async function settled(): Promise<void> {
  const { size } = new LedgerRoots(folder.dataDir)
  while ((await served()).size < size) await new Promise((resolve) => setTimeout(resolve, 20))
  await until(() => traced().size === size && folder.witness(1).latest.size === size)
  // Or the next start would first bring the read models up to date, before it appends.
  await until(async () => (await metrics()).includes('\nagentkeys_projection_lag_entries 0\n'))
}

async function metrics(): Promise<string> {
  return (await fetch(`${broker.url}/metrics`)).text()
}

/** Every checkpoint that was ever signed, whether or not anybody had it. */
function signed(): TreeHead[] {
  const lines = readFileSync(signedFile(), 'utf8').trimEnd().split('\n')
  return lines.map((line) => parseCheckpoint(Buffer.from(line, 'base64')))
}

const sizesAndRoots = (heads: readonly TreeHead[]) =>
  heads.map(({ size, root }) => `${size} ${Buffer.from(root).toString('hex')}`)

/** The ledger verifies, and nothing that anybody holds, or that was signed in secret, says anything else. */
async function expectUncontradicted(): Promise<void> {
  expect(received.unexplainedBy(await verifiedLedger(folder.dataDir))).toEqual([])
  const roots = new LedgerRoots(folder.dataDir)
  const { latest } = folder.witness(1)
  const held = [...shown, traced(), ...(latest.size === 0 ? [] : [latest])]
  expect(roots.contradicting([...signed(), ...held])).toEqual([])
  // And nothing is held that was not seen being signed: or the line above would look at too little.
  const known = new Set(sizesAndRoots(signed()))
  expect(sizesAndRoots(held).filter((head) => !known.has(head))).toEqual([])
}

describe('while it mints', () => {
  const steps = [
    ...[...LEDGER_STEPS, ...REPLY_STEPS].map((step) => ({ ...step, level: 'durable', audience: undefined })),
    // What comes before the witness is the same for both.
    ...[...WITNESS_STEPS, ...REPLY_STEPS].map((step) => ({
      ...step,
      level: 'witnessed',
      audience: WITNESSED,
    })),
  ]
  test.each(steps)('$step ($level)', async ({ step, recorded, answered, level, audience }) => {
    await settled()
    const { size } = new LedgerRoots(folder.dataDir)
    writeFileSync(killAtFile(), step)
    const reply = await mint(audience)
    await killed()

    await expectUncontradicted()
    const grown = new LedgerRoots(folder.dataDir).size
    expect(grown).toBe(recorded ? size + 2 : size)
    // A mint that waits for its witness has nothing yet when the broker dies before it has the witness's answer.
    const mayHave = answered === 'perhaps' && level === 'durable'
    if (!mayHave) expect(reply?.status).toBe(answered === 'yes' ? 200 : undefined)

    await start()
    expect(await mint(audience)).toMatchObject({ status: 200 })
    await settled()
    await expectUncontradicted()
  })
})

describe('while it starts', () => {
  test.each(LEDGER_STEPS)('$step', async ({ step, recorded }) => {
    await settled()
    expect(await broker.stop()).toBe(0)
    running = false
    const { size } = new LedgerRoots(folder.dataDir)
    writeFileSync(killAtFile(), step)
    await spawn()
    await killed()

    await expectUncontradicted()
    const added = new LedgerRoots(folder.dataDir).size - size
    // The checkpoint of the ledger as it was found is signed and shown before anything is appended, and kept beside.
    if (step.startsWith('trace:')) expect([0, 1]).toContain(added)
    else expect(added).toBe(recorded && !/^(?:checkpoint|witness):/.test(step) ? 1 : 0)

    await start()
    expect(await mint()).toMatchObject({ status: 200 })
    await settled()
    await expectUncontradicted()
  })
})
