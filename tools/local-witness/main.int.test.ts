import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { WitnessedLog } from '../../test/support/witnessed-log.js'
import { parseSignedCheckpoint, verifyCheckpoint } from '../../src/domain/ledger/checkpoint.js'
import { formatVkey } from '../../src/domain/ledger/note.js'
import { parsePolicy, type PolicyWitness } from '../../src/domain/ledger/policy.js'
import { formatWitnessRequest } from '../../src/domain/ledger/witness-request.js'
import { DEFAULT_WITNESS_LIMITS, Witness } from '../../src/witness/witness.js'

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url))
const run = promisify(execFile)

let log: WitnessedLog
let dir: string
let child: ChildProcess | undefined
let witness: PolicyWitness

beforeEach(() => {
  log = new WitnessedLog()
  dir = join(log.dir, 'witness')
})
afterEach(async () => {
  await stop()
  await log.close()
})

async function start(): Promise<void> {
  const args = ['--dir', dir, '--log', formatVkey(log.key), '--port', '0']
  child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
  const lines: string[] = []
  for await (const line of createInterface({ input: child.stdout as NonNullable<ChildProcess['stdout']> })) {
    lines.push(line)
    if (line.startsWith('quorum')) break
  }
  // What it prints is a policy as the broker and verify-ledger read it.
  const policy = parsePolicy(`${lines.join('\n')}\n`)
  expect(policy).toMatchObject({ logs: [{ key: log.key }], quorum: 'local' })
  witness = policy.witnesses[0] as PolicyWitness
}

async function stop(): Promise<void> {
  if (child?.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit')
  child = undefined
}

async function add(oldSize: number, size: number, from = size): Promise<{ status: number; text: string }> {
  const checkpoint = log.checkpoint(size)
  const proof = oldSize === 0 || oldSize === size ? [] : await log.proof(oldSize, from)
  return post(formatWitnessRequest({ oldSize, proof, checkpoint }))
}

async function post(body: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`${witness.url}/add-checkpoint`, { method: 'POST', body })
  return { status: response.status, text: await response.text() }
}

test("the broker's own client is cosigned by it, and everybody can read what it cosigned last", async () => {
  await start()
  const client = new Witness(witness, log, DEFAULT_WITNESS_LIMITS)
  expect(await client.submit(log.checkpoint(3))).toMatchObject({ kind: 'cosigned' })
  expect(await client.submit(log.checkpoint(7))).toMatchObject({ kind: 'cosigned' })
  await client.close()
  const origin = '92710415f51ce5a88f2e6a62b3aa034a9a569c5cbe8752fe95657269dc5c9dc0'
  const shown = parseSignedCheckpoint(await (await fetch(`${witness.url}/${origin}/checkpoint`)).text())
  expect(shown.size).toBe(7)
  const verdict = verifyCheckpoint(shown, [log.key], [witness.key])
  expect(verdict.ok && verdict.cosignatures.map((one) => one.witness)).toEqual([witness.key])
  expect((await fetch(`${witness.url}/${origin.replace('9', '0')}/checkpoint`)).status).toBe(404)
})

test('it answers what the specification says, and a refusal changes nothing', async () => {
  await start()
  expect(await add(0, 7)).toMatchObject({ status: 200 })
  const other = log.signed(7).replace('broker.example/ledger', 'other.example/ledger')
  const forged = log.signed(9).replace('\n9\n', '\n10\n')
  const cases: [number, () => Promise<{ status: number; text: string }>][] = [
    [200, () => add(7, 7)],
    [409, () => add(3, 9)],
    [422, () => add(7, 9, 8)],
    [400, () => post(`old 9\n\n${log.signed(7)}`)],
    [400, () => post('old 7\n')],
    [404, () => post(`old 0\n\n${other}`)],
    [403, () => post(`old 7\n\n${forged}`)],
  ]
  for (const [status, ask] of cases) expect(await ask()).toMatchObject({ status })
  expect(await add(0, 9)).toEqual({ status: 409, text: '7\n' })
  expect(await add(7, 9)).toMatchObject({ status: 200 })
})

test('what it cosigned outlives a kill: it cosigns no other tree of that size, and goes on from there', async () => {
  await start()
  expect(await add(0, 7)).toMatchObject({ status: 200 })
  const { key } = witness
  await stop()
  await start()
  expect(witness.key).toEqual(key)
  expect(await add(0, 7)).toEqual({ status: 409, text: '7\n' })
  expect(await add(7, 9)).toMatchObject({ status: 200 })
})

const COSIGNER = 'witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X'

test.each([
  ['--dir and --log are needed', ['--dir', '/tmp/never-made']],
  ['is the key of a witness', ['--dir', '/tmp/never-made', '--log', COSIGNER]],
  ['give what /ledger/vkey answers', ['--dir', '/tmp/never-made', '--log', 'x']],
])('wrong usage ends with 2 and says what: %s', async (message, given) => {
  await expect(run(process.execPath, [MAIN, ...given])).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining(message) as unknown,
  })
})

test('a key file that is damaged is named, with what to do', async () => {
  mkdirSync(dir)
  writeFileSync(join(dir, 'witness-key'), 'PRIVATE+KEY+x', { mode: 0o600 })
  await expect(
    run(process.execPath, [MAIN, '--dir', dir, '--log', formatVkey(log.key)]),
  ).rejects.toMatchObject({
    code: 3,
    stderr: expect.stringMatching(/witness-key.*restore it/) as unknown,
  })
})
