// verify-ledger over the shared ledger's stream, as the stand-in for EventStoreDB serves it. Within one process, but for
// what the command line says.

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals'

import { EMPTY_ROOT } from '../../../src/domain/ledger/merkle.js'
import { parseVkey } from '../../../src/domain/ledger/note.js'
import type { Row } from '../../../src/domain/ledger/verify.js'
import { certificates } from '../../../test/support/eventstoredb/certificates.js'
import type { ReadFault } from '../../../test/support/eventstoredb/faults.js'
import { appendUntilSettled, openStore, STREAM } from '../../../test/support/eventstoredb/ledger.js'
import { StandIn } from '../../../test/support/eventstoredb/stand-in.js'
import { GrownTree } from '../../../test/support/grown-tree.js'
import { signed } from '../../../test/support/ledger-signer.js'
import { LedgerBuilder, VKEY } from '../../../test/support/ledger-builder.js'
import { signedHead } from '../../../test/support/tile-writer.js'
import { verify } from '../verification.js'

import { EsdbSource } from './esdb.js'
import type { Batch } from './source.js'

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'verify-ledger-'))
const ledger = LedgerBuilder.opened().oidcMint().awsMint().refused()
const { texts, head } = ledger
/** Short where silence is waited for, and long enough for a slow machine. */
const QUICK = { attempts: 3, backOffMs: 10, silenceMs: 4_000 }

let standIn: StandIn
beforeEach(async () => {
  standIn = await new StandIn().start()
  await write(ledger)
})
afterEach(() => standIn.dispose())
afterAll(() => rmSync(folder, { recursive: true }))

async function write({ entries }: LedgerBuilder, from = 0): Promise<void> {
  const store = openStore(standIn.url)
  for (let at = from; at < entries.length; at += 250)
    await appendUntilSettled(store, signed(entries.slice(at, at + 250)), at)
  await store.close()
}

function setMetadata(metadata: object): void {
  const rest = { type: '$metadata', contentType: 'application/json', metadata: new Uint8Array() }
  const data = Buffer.from(JSON.stringify(metadata))
  standIn.database.append(`$$${STREAM}`, 'any', [{ ...rest, id: crypto.randomUUID(), data }])
}

async function batchesOf(source: EsdbSource): Promise<Batch[]> {
  const batches: Batch[] = []
  try {
    for await (const batch of source.batches()) batches.push(batch)
    return batches
  } finally {
    await source.close()
  }
}

const open = () => EsdbSource.open(standIn.url, STREAM, QUICK)
const rowsOf = async (): Promise<Row[]> => (await batchesOf(await open())).flatMap(({ rows }) => rows)

/** What is found, by kind, and where entries are said to be hidden. */
async function found() {
  const source = await open()
  try {
    const { verdict } = await verify(source, { vkey: parseVkey(VKEY) })
    const hidden = verdict.findings.find(({ kind }) => kind === 'entries-hidden')
    return { size: verdict.size, kinds: verdict.findingsByKind, at: hidden?.index, why: hidden?.detail }
  } finally {
    await source.close()
  }
}

interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

function run(args: string[], env: Record<string, string> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [MAIN, ...args], { env: { PATH: process.env['PATH'], ...env } })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

describe('a stream that no one touched', () => {
  test('gives every entry as it was sealed, and nothing stays open at the server', async () => {
    expect(await rowsOf()).toEqual(texts)
    expect([...standIn.openReads]).toEqual([])
  })

  test('of several pages is verified; what comes after it was opened is for the next time', async () => {
    const long = LedgerBuilder.opened(3)
    while (long.entries.length < 1_203) long.oidcMint()
    await standIn.dispose()
    standIn = await new StandIn().start()
    await write(long)
    const size = long.entries.length
    const source = await open()
    await write(long.oidcMint(), size)
    const { verdict } = await verify(source)
    await source.close()
    expect([verdict.ok, verdict.size]).toEqual([true, size])
    expect((await found()).size).toBe(size + 2)
  })

  test('is verified from the command line, with the checkpoint that it must have grown from', async () => {
    const tree = new GrownTree(texts.map((text) => new TextEncoder().encode(text)))
    const checkpoint = join(folder, 'older.checkpoint')
    writeFileSync(checkpoint, signedHead(7, tree.rootAt(7)))
    const args = [standIn.url, '--vkey', VKEY, '--checkpoint', checkpoint]
    const { code, stdout, stderr } = await run(args)
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toContain(`ledger   esdb://127.0.0.1:${standIn.port} stream agentkeys-ledger\n`)
    expect(stdout).toContain(`head     ${head}\n`)
    expect(stdout).toContain('It has grown from the checkpoint of 7 entries')

    writeFileSync(checkpoint, signedHead(7, EMPTY_ROOT))
    const forked = await run([...args, '--json'])
    expect(forked.code).toBe(1)
    expect(JSON.parse(forked.stdout)).toMatchObject({ findingsByKind: { 'other-head': 1 } })
  })

  test('is exported', async () => {
    expect(await run(['export', 'env:LEDGER', '--stream', STREAM], { LEDGER: standIn.url })).toEqual({
      code: 0,
      stdout: texts.map((text) => `${text}\n`).join(''),
      stderr: '',
    })
  })
})

describe('hidden entries are a finding', () => {
  test('$tb', async () => {
    setMetadata({ $tb: 3 })
    expect(await found()).toMatchObject({
      size: 7,
      kinds: { 'wrong-index': 1, 'entries-hidden': 1 },
      at: 0,
      why: 'the stream was truncated or soft-deleted: its metadata says $tb',
    })
  })

  test('$maxCount that hides nothing yet', async () => {
    setMetadata({ $maxCount: 1_000 })
    expect(await found()).toMatchObject({
      ...{ size: 10, kinds: { 'entries-hidden': 1 }, at: 10 },
      why: 'the stream shows all of its entries, and is to hide some of them later: its metadata says $maxCount',
    })
  })

  test('all of them', async () => {
    setMetadata({ $tb: 100 })
    expect(await found()).toMatchObject({ size: 0, kinds: { 'entries-hidden': 1 }, at: 0 })
  })

  test('soft deletion, which the command line tells too', async () => {
    standIn.database.softDelete(STREAM)
    expect(await found()).toMatchObject({ size: 0, kinds: { 'entries-hidden': 1 }, at: 0 })
    const { code, stdout } = await run([standIn.url])
    expect(code).toBe(1)
    expect(stdout).toContain('entry 0: entries-hidden\n')
    expect(stdout).toContain('Until a scavenge the entries are still there')
    expect(await run(['export', standIn.url])).toMatchObject({ code: 1, stdout: '' })
  })

  test('soft deletion that was written over', async () => {
    standIn.database.softDelete(STREAM)
    const { type, contentType, data, metadata } = standIn.database.events(STREAM)[0]!
    standIn.database.append(STREAM, 'no_stream', [
      { id: crypto.randomUUID(), type, contentType, data, metadata },
    ])
    expect(await found()).toMatchObject({ size: 1, kinds: { 'entries-hidden': 1, 'wrong-index': 1 } })
  })

  test('tombstone', async () => {
    standIn.database.tombstone(STREAM)
    expect(await found()).toMatchObject({
      ...{ size: 0, kinds: { 'entries-hidden': 1 }, why: 'the stream was deleted for good (tombstoned)' },
    })
  })

  test('deletion while it is read', async () => {
    const source = await open()
    standIn.database.tombstone(STREAM)
    await expect(batchesOf(source)).rejects.toMatchObject({ finding: { kind: 'entries-hidden' } })
  })
})

describe('an event that is no entry is a finding of its own, and the rest is read', () => {
  test('redacted by the vendor tool, and the command line exits with 1', async () => {
    standIn.database.redact(STREAM, 5)
    expect(await found()).toMatchObject({ size: 10, kinds: { malformed: 1 } })
    const { code, stdout, stderr } = await run([standIn.url])
    expect([code, stderr]).toEqual([1, ''])
    expect(stdout).toContain("entry 5: malformed\n  the event's data is no JSON object: redacted")
  })

  const odd: [string, { data?: string; metadata?: string; contentType?: string }][] = [
    ['malformed JSON', { data: '{oops' }],
    ['no JSON at all', { contentType: 'application/octet-stream' }],
    ['a number beyond JSON', { data: '{"n":1e400}' }],
    ['a lone surrogate', { data: '{"s":"\\ud800"}' }],
    ['JSON nested past all bounds', { data: `${'['.repeat(100_000)}${']'.repeat(100_000)}` }],
    ['data null', { data: 'null' }],
    ['no metadata', { metadata: '' }],
    ['metadata that is no JSON', { metadata: '[oops' }],
    ['metadata of another application', { metadata: '{"$correlationId":"c"}' }],
    ['metadata null', { metadata: 'null' }],
  ]
  test.each(odd)('%s', async (_name, { data, metadata, contentType }) => {
    standIn.database.overwrite(STREAM, 4, {
      ...(data === undefined ? {} : { data: Buffer.from(data) }),
      ...(metadata === undefined ? {} : { metadata: Buffer.from(metadata) }),
      ...(contentType === undefined ? {} : { contentType }),
    })
    const { size, kinds } = await found()
    expect([size, kinds.malformed]).toEqual([10, 1])
  })

  test.each([
    ['an array', '[]', 'malformed'],
    ['a changed member', '{"mintId":"forged"}', 'broken-link'],
    ['more than an entry may hold', `{"x":"${'x'.repeat(70_000)}"}`, 'too-large'],
  ])('%s', async (_name, data, kind) => {
    standIn.database.overwrite(STREAM, 4, { data: Buffer.from(data) })
    const { size, kinds } = await found()
    expect(size).toBe(10)
    expect(kinds).toHaveProperty(kind)
  })

  test('an event of another type, and one that someone else appended', async () => {
    standIn.database.overwrite(STREAM, 9, { type: 'OrderPlaced' })
    const foreign = { type: 'OrderPlaced', contentType: 'application/json', metadata: new Uint8Array() }
    standIn.database.append(STREAM, 'any', [
      { ...foreign, id: crypto.randomUUID(), data: Buffer.from('{"password":"hunter2"}') },
    ])
    expect(await found()).toMatchObject({ size: 11, kinds: { 'unknown-type': 1, malformed: 1 } })
    expect((await run([standIn.url])).stdout).not.toContain('hunter2')
  })
})

describe('a way to the store that fails', () => {
  const passing: ReadFault[] = ['swallow', 'stall', 'unavailable', 'internal', 'end-quietly']
  test.each(passing)('%s: asked again, without a gap or a repeat', async (fault) => {
    const source = await open()
    standIn.reads.next(fault)
    expect((await batchesOf(source)).flatMap(({ rows }) => rows)).toEqual(texts)
  })

  test('for good: it cannot be read, which is no finding', async () => {
    const source = await open()
    standIn.reads.always = 'unavailable'
    await expect(batchesOf(source)).rejects.toThrow(/cannot be read: no answer: .*\(3 attempts\)/s)
  })

  test('by no longer having what it had: nothing is passed off as the whole', async () => {
    const source = await open()
    standIn.database.forgetNewest(STREAM, 4)
    await expect(batchesOf(source)).rejects.toThrow('reads end before entry 6')
  })

  test('no stream, no server: exit 3', async () => {
    const none = await run([standIn.url, '--stream', 'other'])
    expect(none).toMatchObject({ code: 3, stdout: '', stderr: expect.stringContaining('no such stream') })
    const { port } = standIn
    await standIn.dispose()
    const gone = await run([`esdb://127.0.0.1:${port}?tls=false`])
    expect(gone).toMatchObject({ code: 3, stdout: '', stderr: expect.stringContaining('cannot be read') })
    standIn = await new StandIn().start()
  })
})

describe('over TLS, with a user', () => {
  const PASSWORD = 'p@ss:word/%'
  let url: (user: string, ca?: string) => string
  beforeEach(async () => {
    const { caFile, tls } = certificates(folder)
    const users = { 'ledger-audit': { password: PASSWORD, groups: [] } }
    const { database } = standIn
    await standIn.dispose()
    standIn = await new StandIn({ tls, users, database }).start()
    url = (user, ca = `tlsCAFile=${encodeURIComponent(caFile)}`) =>
      `esdb://${user}127.0.0.1:${standIn.port}?${ca}`
  })
  const audit = `ledger-audit:${encodeURIComponent(PASSWORD)}@`

  test('the URL comes out of a variable, and no one is shown the password', async () => {
    const { code, stdout, stderr } = await run(['env:LEDGER'], { LEDGER: url(audit), DEBUG: 'esdb:*' })
    expect([code, stdout.includes('VERIFIED')]).toEqual([0, true])
    const shown = stdout + stderr
    expect([shown.includes(PASSWORD), shown.includes(encodeURIComponent(PASSWORD))]).toEqual([false, false])
  })

  test.each<[string, () => string, string]>([
    ['a wrong password', () => url('ledger-audit:wrong-one@'), 'does not know this user and password'],
    ['no user', () => url(''), 'env:NAME'],
    ['no CA', () => url(audit, 'tls=true'), 'tlsCAFile'],
  ])('%s: exit 3, and what to do', async (_name, address, words) => {
    const { code, stdout, stderr } = await run(['env:LEDGER'], { LEDGER: address() })
    expect([code, stdout]).toEqual([3, ''])
    expect(stderr).toContain(words)
    expect(stderr).not.toMatch(/wrong-one|p%40ss|p@ss/)
  })

  test('no right to read: exit 3', async () => {
    setMetadata({ $acl: { $r: '$admins' } })
    const { code, stderr } = await run(['env:LEDGER'], { LEDGER: url(audit) })
    expect([code, stderr]).toEqual([3, expect.stringContaining('denies access')])
  })
})

test.each([
  [['esdb://ledger-audit:hunter2@127.0.0.1:1'], 'must not hold a password'],
  [['esdb://ledger-audit:hunter2:x@127.0.0.1:1'], 'must not hold a password'],
  [['esdb://ledger-audit@127.0.0.1:1'], 'env:NAME'],
  [['esdb://127.0.0.1:1/?tls=hunter2'], 'its option tls is malformed'],
  [['esdb://127.0.0.1:1?tlsVerifyCert=false'], 'an option that is not known'],
  [['esdb://127.0.0.1:1?hunter2'], 'an option that is not known'],
  [['esdb:127.0.0.1'], 'esdb://HOST:PORT'],
  [['esdb://'], 'must name hosts'],
  [['esdb://127.0.0.1:1?tls=false', '--stream', '$all'], '--stream must be'],
  [['ledger.jsonl', '--stream', 'x'], '--stream is for'],
  [['env:UNSET'], 'a variable that is set'],
  [['env:'], 'a variable that is set'],
  [['env:PASSWORD_IN_PLACE_OF_A_URL'], 'SOURCE must be'],
  [['env:STAND_IN', '--state', 'x'], '--state and --full'],
])('wrong usage is reported without repeating a URL, exit 2: %j', async (args, words) => {
  const env = { PASSWORD_IN_PLACE_OF_A_URL: 'hunter2', STAND_IN: standIn.url }
  const ended = await run(args, env)
  expect([ended.code, ended.stdout]).toEqual([2, ''])
  expect(ended.stderr).toContain(words)
  expect(ended.stderr).not.toContain('hunter2')
})
