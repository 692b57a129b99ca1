import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterEach, describe, expect, test } from '@jest/globals'

import { until } from '../../test/support/until.js'
import { WitnessedLog } from '../../test/support/witnessed-log.js'
import type { Answer, WitnessServer } from '../../test/support/witness-server.js'
import {
  formatSignedCheckpoint,
  parseSignedCheckpoint,
  type SignedCheckpoint,
  verifyCheckpoint,
} from '../domain/ledger/checkpoint.js'
import { formatVkey } from '../domain/ledger/note.js'
import { quorumMet } from '../domain/ledger/policy.js'
import { parseWitnessRequest } from '../domain/ledger/witness-request.js'
import { DEFAULT_WITNESS_LIMITS, type WitnessLimits, type WitnessStatus } from './witness.js'
import { AlarmFile, type WitnessAlarm } from './witness-alarm.js'
import { Witnesses, type WitnessesOptions } from './witnesses.js'

/** No answer of the doubles is late, unless a test makes it so. */
const QUICK: WitnessLimits = {
  ...DEFAULT_WITNESS_LIMITS,
  requestMs: 20_000,
  gapMs: 0,
  idleMs: 0,
  backoffMs: 1,
  maxBackoffMs: 8,
}
const LONG = { timeoutMs: 20_000 }
const SHORT = { timeoutMs: 50 }
const DOWN: Answer = { kind: 'reply', status: 503 }

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
})

interface Scene {
  log: WitnessedLog
  witnesses: Witnesses
  alarms: WitnessAlarm[]
  statuses: WitnessStatus[]
  /** Another process on the same log and the same folder. */
  again: () => Witnesses
}

async function scene(count: number, quorum: string, limits: Partial<WitnessLimits> = {}): Promise<Scene> {
  const log = new WitnessedLog()
  open.push(log)
  for (let i = 0; i < count; i++) await log.startWitness()
  const alarms: WitnessAlarm[] = []
  const statuses: WitnessStatus[] = []
  const options: WitnessesOptions = {
    policy: log.policy(quorum),
    log,
    alarmFile: log.alarmFile,
    onAlarm: (alarm) => alarms.push(alarm),
    onStatus: (status) => statuses.push(status),
    limits: { ...QUICK, ...limits },
  }
  const again = () => {
    const witnesses = new Witnesses(options)
    open.push(witnesses)
    return witnesses
  }
  return { log, witnesses: again(), alarms, statuses, again }
}

/** The names of the witnesses that cosigned it, after everything in it was verified as an auditor would. */
function cosigners(log: WitnessedLog, checkpoint: SignedCheckpoint | undefined): string[] {
  if (!checkpoint) throw new Error('there is no checkpoint')
  const read = parseSignedCheckpoint(formatSignedCheckpoint(checkpoint))
  const known = log.witnesses.map(({ key }) => key)
  const verdict = verifyCheckpoint(read, [log.key], known)
  if (!verdict.ok) throw new Error(verdict.problem)
  expect(read.root).toEqual(log.head(read.size).root)
  expect(read.note.signatures.length).toBe(1 + verdict.cosignatures.length)
  return verdict.cosignatures.map(({ witness }) => `w${known.indexOf(witness) + 1}`)
}

function nth({ witnesses }: WitnessedLog, n: number): WitnessServer {
  const server = witnesses[n - 1]
  if (!server) throw new Error(`there is no witness ${n}`)
  return server
}

const sizesSeen = ({ requests }: WitnessServer) =>
  requests.map((body) => parseWitnessRequest(body).checkpoint.size)
const unavailable = (message: RegExp) => ({
  name: 'LedgerError',
  code: 'unavailable',
  message: expect.stringMatching(message) as unknown,
})

describe('the gate', () => {
  test.each([
    ['any', 1],
    ['2', 2],
    ['all', 3],
  ])('opens when %s of three witnesses have cosigned', async (quorum, needed) => {
    const { log, witnesses } = await scene(3, quorum)
    log.witnesses.slice(needed).forEach((witness) => (witness.always = DOWN))
    witnesses.offer(log.checkpoint(7))
    const checkpoint = await witnesses.witnessed(7, LONG)
    expect(checkpoint.size).toBe(7)
    expect(cosigners(log, checkpoint)).toEqual(['w1', 'w2', 'w3'].slice(0, needed))
    expect(witnesses.latestWitnessed()).toEqual(checkpoint)
  })

  test.each([
    ['any', 0],
    ['2', 1],
    ['all', 2],
  ])('stays shut when of %s of three only %d have, and opens when one more does', async (quorum, up) => {
    const { log, witnesses } = await scene(3, quorum)
    log.witnesses.slice(up).forEach((witness) => (witness.always = DOWN))
    witnesses.offer(log.checkpoint(7))
    await expect(witnesses.witnessed(7, SHORT)).rejects.toMatchObject(unavailable(/nothing is handed out/))
    expect(witnesses.latestWitnessed()).toBeUndefined()
    const waiting = witnesses.witnessed(7, LONG)
    for (const witness of log.witnesses) witness.always = { kind: 'honest' }
    expect(quorumMet(log.policy(quorum), new Set(cosignersOf(log, await waiting)))).toBe(true)
  })

  test.each([['tree'], ['key'], ['bit'], ['name']] as const)(
    'is not opened by a lie about the %s',
    async (about) => {
      const { log, witnesses } = await scene(2, 'all')
      nth(log, 2).always = { kind: 'lie', about }
      witnesses.offer(log.checkpoint(7))
      // It has been heard more than once, and so has the honest one.
      await until(() => (log.witnesses[1]?.requests.length ?? 0) >= 3)
      await until(() => witnesses.status()[0]?.cosignedSize === 7)
      await expect(witnesses.witnessed(7, SHORT)).rejects.toMatchObject(unavailable(/too few/))
      expect(cosigners(log, witnesses.cosigned(log.checkpoint(7)))).toEqual(['w1'])
    },
  )

  test('waits for a checkpoint that is only offered later', async () => {
    const { log, witnesses } = await scene(1, 'any')
    witnesses.offer(log.checkpoint(3))
    const waiting = witnesses.witnessed(7, LONG)
    await witnesses.witnessed(3, LONG)
    witnesses.offer(log.checkpoint(9))
    expect((await waiting).size).toBe(9)
  })

  test('is open at once for what is covered already', async () => {
    const { log, witnesses } = await scene(1, 'any')
    witnesses.offer(log.checkpoint(9))
    await witnesses.witnessed(9, LONG)
    await log.witnesses.splice(0)[0]?.close()
    expect((await witnesses.witnessed(5, { timeoutMs: 0 })).size).toBe(9)
  })

  test('is never open under a policy without a quorum, though cosignatures are collected', async () => {
    const { log, witnesses } = await scene(1, 'none')
    witnesses.offer(log.checkpoint(7))
    await expect(witnesses.witnessed(7, LONG)).rejects.toMatchObject({ code: 'failed' })
    await until(() => witnesses.latestWitnessed() !== undefined)
    expect(cosigners(log, witnesses.latestWitnessed())).toEqual(['w1'])
  })

  test('says who did not cosign, and what each said, when it stays shut', async () => {
    const { log, witnesses } = await scene(4, 'all')
    const [, unknown, silent, slow] = log.witnesses
    if (unknown) unknown.always = { kind: 'reply', status: 404, body: 'secret of the witness' }
    if (silent) silent.always = { kind: 'silent' }
    if (slow) slow.always = { kind: 'reply', status: 429, headers: { 'retry-after': '3600' } }
    witnesses.offer(log.checkpoint(7))
    await until(() => witnesses.status().filter(({ problem }) => problem).length === 2)
    await until(() => witnesses.status()[0]?.cosignedSize === 7)
    await expect(witnesses.witnessed(7, SHORT)).rejects.toMatchObject({
      code: 'unavailable',
      message:
        'too few witnesses cosigned in time: nothing is handed out (w2: not-enrolled, it answered 404: it does not ' +
        'know this origin; w3: no answer yet; w4: overloaded, it answered 429)',
    })
  })

  test('shuts for all who wait when the broker stops', async () => {
    const { log, witnesses } = await scene(1, 'any')
    nth(log, 1).always = { kind: 'silent' }
    witnesses.offer(log.checkpoint(7))
    const waiting = expect(witnesses.witnessed(7, LONG)).rejects.toMatchObject(unavailable(/shutting down/))
    await until(() => log.witnesses[0]?.requests.length === 1)
    await witnesses.close()
    await waiting
    await expect(witnesses.witnessed(1, LONG)).rejects.toMatchObject(unavailable(/shutting down/))
  })
})

function cosignersOf(log: WitnessedLog, checkpoint: SignedCheckpoint): string[] {
  const vkeys = log.witnesses.map(({ key }) => formatVkey(key))
  return cosigners(log, checkpoint).map((name) => vkeys[Number(name.slice(1)) - 1] as string)
}

describe('submission', () => {
  test('does not hold up appends when the only witness never answers', async () => {
    const { log, witnesses } = await scene(1, 'any')
    const server = nth(log, 1)
    server.always = { kind: 'silent' }
    const checkpoints = Array.from({ length: 150 }, (_, i) => log.checkpoint(i + 1))
    // Nothing here is waited for, and nothing was sent by the end of it.
    for (const checkpoint of checkpoints) witnesses.offer(checkpoint)
    expect(server.requests).toEqual([])
    await until(() => server.requests.length > 0)
    expect(sizesSeen(server)).toEqual([150])
  })

  test('is one request at a time, and of what came meanwhile only the newest', async () => {
    const { log, witnesses } = await scene(1, 'any')
    const server = nth(log, 1)
    server.always = { kind: 'held' }
    witnesses.offer(log.checkpoint(1))
    await until(() => server.requests.length === 1)
    for (let size = 2; size <= 100; size++) witnesses.offer(log.checkpoint(size))
    const all = Promise.all([1, 50, 100].map((size) => witnesses.witnessed(size, LONG)))
    server.letGo()
    expect((await all).map(({ size }) => size)).toEqual([1, 100, 100])
    expect(sizesSeen(server)).toEqual([1, 100])
    expect(server.mostInFlight).toBe(1)
  })

  /** With such an idle gap, nothing but a waiting mint can bring a second request within the life of a test. */
  const IDLE = { gapMs: 0, idleMs: 3_600_000 }

  test('begins as soon as a mint waits and the one before has ended, and is left for later where nothing waits', async () => {
    const { log, witnesses } = await scene(2, 'all', IDLE)
    for (let size = 1; size <= 5; size++) {
      witnesses.offer(log.checkpoint(size))
      if (size % 2 === 1) expect((await witnesses.witnessed(size, LONG)).size).toBe(size)
    }
    for (const server of log.witnesses) expect(sizesSeen(server)).toEqual([1, 3, 5])
  })

  test('of a mint that comes during a round is in the next one, together with all others that came', async () => {
    const { log, witnesses } = await scene(1, 'any', IDLE)
    const server = nth(log, 1)
    server.always = { kind: 'held' }
    witnesses.offer(log.checkpoint(1))
    await until(() => server.requests.length === 1)
    const all = Array.from({ length: 32 }, (_, i) => {
      witnesses.offer(log.checkpoint(i + 2))
      return witnesses.witnessed(i + 2, LONG)
    })
    server.letGo()
    expect(new Set((await Promise.all(all)).map(({ size }) => size))).toEqual(new Set([33]))
    expect(sizesSeen(server)).toEqual([1, 33])
    expect(server.mostInFlight).toBe(1)
  })

  test('takes no older checkpoint for a newer one', async () => {
    const { log, witnesses } = await scene(1, 'any')
    witnesses.offer(log.checkpoint(9))
    witnesses.offer(log.checkpoint(4))
    await witnesses.witnessed(9, LONG)
    witnesses.offer(log.checkpoint(9))
    witnesses.offer(log.checkpoint(10))
    await witnesses.witnessed(10, LONG)
    expect(sizesSeen(nth(log, 1))).toEqual([9, 10])
  })

  test('is in rounds: witnesses of different speed cosign the same checkpoint of a busy ledger', async () => {
    const { log, witnesses } = await scene(2, 'all')
    const [fast, slow] = [nth(log, 1), nth(log, 2)]
    slow.always = { kind: 'held' }
    witnesses.offer(log.checkpoint(1))
    await until(() => slow.requests.length === 1 && fast.requests.length === 1)
    for (let size = 2; size <= 9; size++) witnesses.offer(log.checkpoint(size))
    await witnesses.witnessed(1, SHORT).catch(() => undefined)
    // The fast one could have gone on, and would then never be with the slow one.
    expect(sizesSeen(fast)).toEqual([1])
    slow.letGo()
    const checkpoint = await witnesses.witnessed(9, LONG)
    expect(cosigners(log, checkpoint)).toEqual(['w1', 'w2'])
    expect(sizesSeen(fast)).toEqual([1, 9])
  })

  test('goes on without a witness that hangs, where the quorum does not need it', async () => {
    const { log, witnesses } = await scene(3, '2')
    const hanging = nth(log, 3)
    hanging.always = { kind: 'silent' }
    for (let size = 1; size <= 5; size++) {
      witnesses.offer(log.checkpoint(size))
      expect(cosigners(log, await witnesses.witnessed(size, LONG))).toEqual(['w1', 'w2'])
    }
    expect(hanging.requests.length).toBe(1)
  })

  test('is repeated after failures of all kinds until it succeeds, and says so when it gets into and out of trouble', async () => {
    const { log, witnesses, statuses, alarms } = await scene(1, 'any')
    const server = nth(log, 1)
    const reply = (status: number): Answer => ({ kind: 'reply', status })
    server.script.push(reply(429), reply(500), { kind: 'reset' }, reply(404), reply(403), {
      kind: 'lie',
      about: 'bit',
    })
    witnesses.offer(log.checkpoint(7))
    await witnesses.witnessed(7, LONG)
    expect(server.requests.length).toBe(7)
    expect(server.mostInFlight).toBe(1)
    expect(statuses.map(({ problem }) => problem?.problem)).toEqual([
      'overloaded',
      'unreachable',
      'not-enrolled',
      'key-not-trusted',
      'bad-answer',
      undefined,
    ])
    expect(alarms).toEqual([])
  })

  test('finds a witness that comes up late', async () => {
    const { log, witnesses } = await scene(1, 'any')
    const server = nth(log, 1)
    log.witnesses.length = 0
    const { port } = server
    await server.close()
    witnesses.offer(log.checkpoint(7))
    await until(() => witnesses.status()[0]?.problem?.problem === 'unreachable')
    await log.startWitness(port)
    expect(cosigners(log, await witnesses.witnessed(7, LONG))).toEqual(['w1'])
  })

  test('of an idle log is repeated when the time of its cosignature is old, without a proof', async () => {
    const { log, witnesses } = await scene(1, 'any', { refreshMs: 5 })
    const server = nth(log, 1)
    witnesses.offer(log.checkpoint(7))
    const first = formatSignedCheckpoint(await witnesses.witnessed(7, LONG))
    await until(() => server.requests.length >= 4)
    await until(() => formatSignedCheckpoint(witnesses.latestWitnessed() as SignedCheckpoint) !== first)
    expect(cosigners(log, witnesses.latestWitnessed())).toEqual(['w1'])
    expect(server.requests.slice(1, 4).map((body) => body.split('\n\n')[0])).toEqual([
      'old 7',
      'old 7',
      'old 7',
    ])
  })

  test('shows what another broker has appended, once a witness tells of it', async () => {
    const { log, witnesses, alarms } = await scene(2, 'all')
    const offered = log.checkpoint(7)
    log.size = 12
    const first = nth(log, 1)
    first.latest = log.head(10)
    witnesses.offer(offered)
    expect((await witnesses.witnessed(8, LONG)).size).toBe(12)
    expect(alarms).toEqual([])
  })
})

test('a checkpoint shows the cosignatures it has, enough or not, and none of another', async () => {
  const { log, witnesses } = await scene(2, 'all')
  nth(log, 2).always = DOWN
  witnesses.offer(log.checkpoint(7))
  await until(() => witnesses.cosigned(log.checkpoint(7)).note.signatures.length > 1)
  expect(cosigners(log, witnesses.cosigned(log.checkpoint(7)))).toEqual(['w1'])
  expect(cosigners(log, witnesses.cosigned(log.checkpoint(8)))).toEqual([])
})

describe('an alarm', () => {
  const CONTRADICTIONS = [
    ['witness-ahead', 409, (log: WitnessedLog) => log.head(8)],
    ['root-mismatch', 422, () => WitnessedLog.other.head(7)],
    ['fork', 422, () => WitnessedLog.other.head(5)],
  ] as const

  test.each(CONTRADICTIONS)(
    '%s is raised once, with the evidence on disk, and shuts the gate',
    async (kind, status, head) => {
      const { log, witnesses, alarms } = await scene(3, 'any')
      for (const witness of log.witnesses.slice(0, 2)) {
        witness.latest = head(log)
        witness.shown = log.signed(8)
      }
      nth(log, 3).always = { kind: 'silent' }
      witnesses.offer(log.checkpoint(7))
      await expect(witnesses.witnessed(7, LONG)).rejects.toMatchObject(unavailable(/contradicts the ledger/))
      expect(alarms).toEqual([
        {
          kind,
          reason: expect.stringMatching(/^witness w[12] (?:has cosigned|shows) .*witness-alarm\.json/),
        },
      ])
      expect(witnesses.alarm).toEqual(alarms[0])

      const evidence = JSON.parse(readFileSync(log.alarmFile.path, 'utf8')) as Record<string, unknown>
      expect(evidence).toMatchObject({
        kind,
        answer: { status },
        checkpoint: formatSignedCheckpoint(log.checkpoint(7)),
      })
      const { name, vkey, url } = evidence['witness'] as Record<string, string>
      const by = log.witnesses[Number(name?.slice(1)) - 1]
      expect({ vkey, url }).toEqual({ vkey: by && formatVkey(by.key), url: by?.url })
      expect(by?.requests.at(-1)).toBe(evidence['request'])
      expect(Date.parse(evidence['time'] as string)).not.toBeNaN()
      expect(statSync(log.alarmFile.path).mode & 0o777).toBe(0o600)
    },
  )

  test('stays: nothing is offered or released any more, not even what was witnessed before', async () => {
    const { log, witnesses, alarms } = await scene(1, 'any')
    const server = nth(log, 1)
    witnesses.offer(log.checkpoint(7))
    await witnesses.witnessed(7, LONG)
    server.latest = WitnessedLog.other.head(7)
    witnesses.offer(log.checkpoint(8))
    await until(() => alarms.length === 1)
    const asked = server.requests.length
    witnesses.offer(log.checkpoint(9))
    await expect(witnesses.witnessed(7, LONG)).rejects.toMatchObject(unavailable(/contradicts/))
    await witnesses.close()
    expect(server.requests.length).toBe(asked)
    expect(alarms.length).toBe(1)
  })

  test.each(CONTRADICTIONS)('%s is found at the start, before anything is offered', async (kind, _, head) => {
    const { log, witnesses, alarms } = await scene(2, 'any')
    nth(log, 1).always = DOWN
    nth(log, 2).latest = head(log)
    nth(log, 2).shown = log.signed(8)
    expect(await witnesses.checkAtStart(log.checkpoint(7))).toMatchObject({ kind })
    expect(alarms.length).toBe(1)
    expect(existsSync(log.alarmFile.path)).toBe(true)
  })

  test('stands until its file is moved away; the evidence is not written over', async () => {
    const { log, witnesses, again } = await scene(1, 'any')
    const server = nth(log, 1)
    server.latest = log.head(8)
    server.shown = log.signed(8)
    await witnesses.checkAtStart(log.checkpoint(7))
    const evidence = readFileSync(log.alarmFile.path, 'utf8')
    const unresolved = log.alarmFile.unresolved()
    expect(unresolved).toMatchObject({ kind: 'unresolved' })
    expect(unresolved?.reason).toContain(log.alarmFile.path)
    server.latest = WitnessedLog.other.head(7)
    await again().checkAtStart(log.checkpoint(7))
    expect(readFileSync(log.alarmFile.path, 'utf8')).toBe(evidence)

    rmSync(log.alarmFile.path)
    expect(log.alarmFile.unresolved()).toBeUndefined()
    server.latest = log.head(8)
    const third = again()
    expect(await third.checkAtStart(log.checkpoint(8))).toBeUndefined()
    expect((await third.witnessed(8, LONG)).size).toBe(8)
  })

  test('is not a larger number alone: who needs the witness waits, and everybody else goes on', async () => {
    const { log, witnesses, alarms } = await scene(2, 'all')
    nth(log, 2).latest = log.head(150)
    expect(await witnesses.checkAtStart(log.checkpoint(7))).toBeUndefined()
    await expect(witnesses.witnessed(7, SHORT)).rejects.toMatchObject(
      unavailable(/\(w2: claims-more, it answered 409 with a size larger than the ledger/),
    )
    expect(alarms).toEqual([])
    expect(existsSync(log.alarmFile.path)).toBe(false)
  })

  test('is raised although its evidence cannot be saved', async () => {
    const log = new WitnessedLog()
    open.push(log)
    const server = await log.startWitness()
    server.latest = log.head(8)
    server.shown = log.signed(8)
    const notAFolder = join(log.dir, 'file')
    writeFileSync(notAFolder, '')
    const alarms: WitnessAlarm[] = []
    const policy = log.policy('any')
    const alarmFile = new AlarmFile(join(notAFolder, 'witness-alarm.json'))
    const witnesses = new Witnesses({
      policy,
      log,
      alarmFile,
      onAlarm: (alarm) => alarms.push(alarm),
      limits: QUICK,
    })
    open.push(witnesses)
    await witnesses.checkAtStart(log.checkpoint(7))
    expect(alarms).toEqual([
      {
        kind: 'witness-ahead',
        reason: expect.stringMatching(
          /the evidence could not be saved at .* \((ENOTDIR|EEXIST)\): make that file writable/,
        ),
      },
    ])
  })
})

test('a start is not kept up by witnesses that are down, silent or not enrolled', async () => {
  const { log, witnesses } = await scene(3, 'any', { requestMs: 5_000 })
  const [down, silent, unknown] = [nth(log, 1), nth(log, 2), nth(log, 3)]
  down.always = { kind: 'reset' }
  silent.always = { kind: 'silent' }
  unknown.always = { kind: 'reply', status: 404 }
  expect(await witnesses.checkAtStart(log.checkpoint(7))).toBeUndefined()
  expect(witnesses.status().map(({ problem }) => problem?.problem)).toEqual([
    'unreachable',
    'unreachable',
    'not-enrolled',
  ])
})
