// What import adds, and what it refuses: a ledger of which only a part is here, and sources that lie.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { type Config, readConfig } from '../config.js'
import type { Sealed } from '../domain/ledger/entry.js'
import { formatSkey, signerFromSeed } from '../domain/ledger/note.js'
import { SqliteEventStore } from '../event-store/sqlite.js'
import { DEFAULT_FLAGS } from '../start/flags.js'
import type { ImportLine } from '../start/recovery-line.js'
import { openDataDir } from '../storage/data-dir.js'
import { LedgerBuilder } from '../../test/support/ledger-builder.js'
import { ORIGIN, SEED, signed, VKEY } from '../../test/support/ledger-signer.js'
import { writtenTo } from '../../test/support/subcommand.js'
import { TileServer } from '../../test/support/tile-server.js'
import { signedHead, writeTiles } from '../../test/support/tile-writer.js'
import { verdictOn } from '../../test/support/verified-ledger.js'
import { Tree } from '../domain/ledger/merkle.js'
import { backUpTo } from './backup.js'
import { importFrom } from './import-ledger.js'
import { restoreBackup } from './restore-backup.js'

let folder: string
let config: Config
let whole: Sealed[]
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'import-'))
  const env = { BROKER_DATA_DIR: join(folder, 'data'), BROKER_LEDGER_ORIGIN: ORIGIN }
  const reading = readConfig(env, DEFAULT_FLAGS)
  if (!('config' in reading)) throw new Error(reading.problems.join('\n'))
  config = reading.config
  mkdirSync(config.dataDir, { mode: 0o700 })
  const key = JSON.stringify({ vkey: VKEY, skey: formatSkey(ORIGIN, SEED) })
  writeFileSync(config.ledger.keyPath, key, { mode: 0o600 })
  whole = grown(LedgerBuilder.opened(), 600)
})
afterEach(() => rmSync(folder, { recursive: true }))

function grown(ledger: LedgerBuilder, size: number): Sealed[] {
  while (ledger.entries.length < size) ledger.oidcMint()
  return ledger.entries.slice(0, size)
}

const at = (name: string) => join(folder, name)
const local = () => join(config.dataDir, 'ledger.sqlite')

async function imported(source: string, more: Partial<ImportLine> = {}) {
  const line = { verb: 'import', source, tokenFile: undefined, checkpoint: undefined, ...more } as const
  return importFrom(line, config)
}

async function textsHere(): Promise<string[]> {
  const store = new SqliteEventStore(local())
  const texts = (await store.read(0, 1000)).map(({ text }) => text)
  await store.close()
  return texts
}

function headOf(entries: readonly Sealed[]): string {
  const tree = new Tree()
  for (const { leafHash } of entries) tree.append(Buffer.from(leafHash, 'hex'))
  return signedHead(tree.size, tree.root())
}

function signedLast(size: number): void {
  const path = join(config.dataDir, 'last-checkpoint')
  writeFileSync(path, headOf(whole.slice(0, size)), { mode: 0o600 })
}

function jsonl(name: string, entries: readonly Sealed[]): string {
  writeFileSync(at(name), entries.map(({ text }) => `${text}\n`).join(''))
  return at(name)
}

const texts = (entries: readonly Sealed[]) => entries.map(({ text }) => text)

test.each([0, 1, 256, 400, 599])(
  'of a ledger that kept %i entries, exactly the others are appended',
  async (kept) => {
    if (kept > 0) await writtenTo(local(), whole.slice(0, kept))
    signedLast(600)
    // Of an import that was cut off.
    writeFileSync(join(config.dataDir, 'import.sqlite'), 'half a file')
    const { code, message } = await imported(jsonl('export.jsonl', whole))
    expect([code, message]).toEqual([
      0,
      expect.stringMatching(new RegExp(`^${600 - kept} missing entries, ${kept} to 599`)),
    ])
    expect(await textsHere()).toEqual(texts(whole))
    expect(await verdictOn(local())).toMatchObject({ ok: true, size: 600 })
    expect(await imported(at('export.jsonl'))).toMatchObject({
      code: 0,
      message: expect.stringMatching(/^nothing was missing/),
    })
  },
)

test('tiles in a folder, tiles behind a token and a SQLite copy are as good, where only the key is left', async () => {
  writeTiles(at('tiles'), [whole])
  const server = await TileServer.start(at('tiles'), { token: 'auditor-token-1' })
  writeFileSync(at('token'), 'auditor-token-1\n')
  const sources = [
    [at('tiles')],
    [server.url, { tokenFile: at('token') }],
    [`sqlite:${await writtenTo(at('copy.sqlite'), whole)}`],
  ] as const
  for (const [source, more] of sources) {
    for (const name of [local(), join(config.dataDir, 'last-checkpoint')]) rmSync(name, { force: true })
    expect(await imported(source, more)).toMatchObject({ code: 0 })
    expect(await textsHere()).toEqual(texts(whole))
  }
  expect((await imported(server.url)).message).toContain('--token-file')
  await server.stop()
})

/** Entries that the ledger's own key has not signed for, or that are not those that were signed. */
const LIES: [string, () => Promise<string> | string, string][] = [
  [
    'an export that goes on beyond what was signed',
    () => jsonl('long.jsonl', whole),
    'entries 500 to 599 are vouched for by no',
  ],
  ['an export that ends before it', () => jsonl('short.jsonl', whole.slice(0, 499)), 'it lacks the last 1'],
  ['an entry that was altered', () => jsonl('altered.jsonl', altered()), 'no ledger that verifies'],
  [
    'another ledger of the same key',
    () => jsonl('other.jsonl', grown(LedgerBuilder.opened(2), 500)),
    'not what the checkpoint of 500',
  ],
  [
    'a mirror with a checkpoint of another key',
    () => {
      const signer = signerFromSeed(ORIGIN, 'ed25519', new Uint8Array(32).fill(9))
      writeTiles(at('forged'), [whole], { signer })
      return at('forged')
    },
    "not signed by the ledger's own key",
  ],
  ['an empty file', () => jsonl('empty.jsonl', []), 'is empty'],
]
test.each(LIES)('%s is refused, and the ledger is left as it was', async (_what, source, words) => {
  await writtenTo(local(), whole.slice(0, 100))
  signedLast(500)
  expect(await imported(await source())).toEqual({ code: 1, message: expect.stringContaining(words) })
  expect(await textsHere()).toEqual(texts(whole.slice(0, 100)))
})

function altered(): Sealed[] {
  const text = whole[300]!.text.replace('"v":1', '"v":1 ')
  return whole.slice(0, 500).map((entry, i) => (i === 300 ? { ...entry, text } : entry))
}

test('what is here has to be the beginning of the source', async () => {
  await writtenTo(local(), grown(LedgerBuilder.opened(2), 100))
  signedLast(600)
  const { code, message } = await imported(jsonl('export.jsonl', whole))
  expect([code, message]).toEqual([1, expect.stringContaining('holds another ledger: its entry')])
})

test('a checkpoint from elsewhere vouches for entries that were signed after last-checkpoint was written', async () => {
  await writtenTo(local(), whole.slice(0, 100))
  signedLast(500)
  writeFileSync(at('checkpoint'), headOf(whole))
  expect(await imported(jsonl('export.jsonl', whole), { checkpoint: at('checkpoint') })).toMatchObject({
    code: 0,
  })
  // It is remembered: the shorter copy is not accepted any more.
  rmSync(local())
  expect(await imported(jsonl('export.jsonl', whole.slice(0, 500)))).toMatchObject({ code: 1 })
})

test('beside a running broker nothing is imported', async () => {
  const running = openDataDir(config.dataDir, 'node', () => 'id')
  const { message } = await imported(jsonl('export.jsonl', whole))
  expect(message).toContain('another broker is running')
  running.release()
})

test('a backup of every hour of a day, taken while entries are appended, comes back to the byte', async () => {
  const ledger = LedgerBuilder.opened()
  const store = new SqliteEventStore(local())
  let size = 0
  const append = async () => {
    ledger.oidcMint()
    const next = ledger.entries.slice(size)
    size += next.length
    await store.append(signed(next), next[0]!.entry.index)
  }
  await append()
  const sizes: number[] = []
  for (let hour = 0; hour < 24; hour += 1) {
    ledger.now = new Date(Date.parse('2026-11-20T12:00:00.000Z') + hour * 3_600_000)
    await append()
    writeFileSync(join(config.dataDir, 'last-checkpoint'), headOf(ledger.entries), { mode: 0o600 })
    // The thread that owns the file goes on writing meanwhile.
    const underWay = [append()]
    const { code, message } = backUpTo(at(`hour-${hour}`), config)
    expect([code, message]).toEqual([0, expect.stringContaining('verified')])
    sizes.push(Number(/: (\d+) entries, verified/.exec(message)?.[1]))
    await Promise.all(underWay)
  }
  await store.close()
  const all = ledger.entries
  writeFileSync(join(config.dataDir, 'last-checkpoint'), headOf(all), { mode: 0o600 })
  jsonl('mirror.jsonl', all)
  for (let hour = 0; hour < 24; hour += 1) {
    for (const suffix of ['', '-wal', '-shm']) rmSync(local() + suffix, { force: true })
    const line = { verb: 'restore-backup', directory: at(`hour-${hour}`), yes: true } as const
    const lost = all.length - (sizes[hour] as number)
    const { code, message } = restoreBackup(line, config)
    expect([code, message]).toEqual([
      0,
      expect.stringMatching(
        lost === 0 ? /^Nothing is lost/ : new RegExp(`^${lost} entr.*missing in the backup`),
      ),
    ])
    expect(await textsHere()).toEqual(texts(all.slice(0, sizes[hour])))
    if (hour % 8 > 0) continue
    expect(await imported(at('mirror.jsonl'))).toMatchObject({ code: 0 })
    expect(await textsHere()).toEqual(texts(all))
  }
})
