import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'

import { parseSignedCheckpoint } from '../../src/domain/ledger/checkpoint.js'
import type { Sealed } from '../../src/domain/ledger/entry.js'
import { formatVkey, parseVkey, signerFromSeed } from '../../src/domain/ledger/note.js'
import { parsePolicy } from '../../src/domain/ledger/policy.js'
import {
  LedgerBuilder,
  ledgerOf,
  ORIGIN,
  VKEY,
  writeJsonl,
  writeSqlite,
} from '../../test/support/ledger-builder.js'
import {
  LOG_SIGNER,
  type LogOptions,
  signedHead,
  witness,
  writeTiles,
} from '../../test/support/tile-writer.js'

import { openSource, parseSource } from './sources/open.js'
import { type Options, type Outcome, verify } from './verification.js'

const SIZE = 700
const entries = [...ledgerOf(SIZE)].flat()
const root = (of: readonly Sealed[]): Uint8Array =>
  parseSignedCheckpoint(writeTiles(mkdtempSync(join(scratch, 'root-')), [of])).root

const scratch = mkdtempSync(join(tmpdir(), 'verify-ledger-'))
afterAll(() => rmSync(scratch, { recursive: true }))

const vkey = parseVkey(VKEY)
const STRANGER = signerFromSeed(ORIGIN, 'ed25519', new Uint8Array(32).fill(9))
const good = join(scratch, 'good')
const states = join(scratch, 'states')
let folder: string
let statePath: string
let runs = 0

beforeAll(() => void writeTiles(good, [entries]))
beforeEach(() => {
  folder = join(scratch, `log-${++runs}`)
  statePath = join(states, `${runs}.json`)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function verified(source: string, options: Options = {}): Promise<Outcome> {
  const opened = await openSource(await parseSource(source))
  try {
    return await verify(opened, { statePath: opened.log ? statePath : undefined, ...options })
  } finally {
    await opened.close()
  }
}

const kinds = ({ verdict }: Outcome): [number, string][] =>
  verdict.findings.map(({ index, kind }) => [index, kind])

/** A log of its own for a test. */
function log(of: readonly Sealed[] = entries, options?: LogOptions): string {
  rmSync(folder, { recursive: true, force: true })
  writeTiles(folder, [of], options)
  return folder
}

function spoil(path: string, change: (bytes: Buffer) => Buffer): string {
  if (!existsSync(folder)) cpSync(good, folder, { recursive: true })
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), change(readFileSync(join(folder, path))))
  return folder
}

const replaced = (from: string, to: string) => (bytes: Buffer) =>
  Buffer.from(bytes.toString('latin1').replace(from, to), 'latin1')

/** Another history from entry `at` on, of as many entries or more. */
function rewritten(at: number, size: number): Sealed[] {
  const other = LedgerBuilder.opened(2)
  while (other.entries.length < size) other.oidcMint()
  // A chain of its own from the beginning: what a log that starts over would sign. `at` entries are the same.
  return at === 0 ? other.entries.slice(0, size) : [...entries.slice(0, at), ...other.entries.slice(at, size)]
}

describe('a log that no one touched', () => {
  test.each([4, 255, 256, 257, 512, 700])('is verified at size %d', async (size) => {
    const outcome = await verified(log(entries.slice(0, size)), { vkey })
    expect(kinds(outcome)).toEqual([])
    expect(outcome).toMatchObject({
      verdict: { ok: true, size, head: entries[size - 1]!.leafHash },
      ...{ keyFrom: 'given', resumedFrom: 0, consistentWith: [], evidence: [] },
    })
  })

  test('is said to vouch for its own key when none is given, and for the remembered one after that', async () => {
    expect((await verified(good)).keyFrom).toBe('itself')
    expect((await verified(good)).keyFrom).toBe('remembered')
    expect((await verified(good, { vkey })).keyFrom).toBe('given')
  })
})

describe('a bundle', () => {
  test('with a byte changed breaks the chain, the tile and the root', async () => {
    const outcome = await verified(spoil('tile/entries/000', replaced('"aud":"sts', '"aud":"stz')), { vkey })
    expect(outcome.verdict.ok).toBe(false)
    expect(new Set(kinds(outcome).map(([, kind]) => kind))).toEqual(
      new Set(['broken-link', 'wrong-tile', 'wrong-root']),
    )
  })

  test.each([
    ['that ends too early', (bytes: Buffer) => bytes.subarray(0, -1)],
    ['that goes on too long', (bytes: Buffer) => Buffer.concat([bytes, Buffer.of(0, 1, 0x7b)])],
    ['that is empty', () => Buffer.alloc(0)],
  ])('%s is a finding, and what is before it is verified', async (_, change) => {
    const outcome = await verified(spoil('tile/entries/001', change), { vkey })
    expect(kinds(outcome)).toEqual([[256, 'wrong-bundle']])
    expect(outcome.verdict.size).toBe(256)
  })

  test('that is missing is a finding', async () => {
    cpSync(good, folder, { recursive: true })
    rmSync(join(folder, 'tile/entries/001'))
    expect(kinds(await verified(folder, { vkey }))).toEqual([[256, 'missing-tile']])
  })

  test('that has become full since the checkpoint is read up to the checkpoint', async () => {
    log(entries.slice(0, 600))
    const checkpoint = readFileSync(join(folder, 'checkpoint'))
    rmSync(join(folder, 'tile/entries/002.p'), { recursive: true })
    rmSync(join(folder, 'tile/0/002.p'), { recursive: true })
    writeTiles(folder, [[...ledgerOf(1_100)].flat()])
    writeFileSync(join(folder, 'checkpoint'), checkpoint)
    const outcome = await verified(folder, { vkey })
    expect([kinds(outcome), outcome.verdict.size]).toEqual([[], 600])
  })
})

describe('a tile', () => {
  test.each(['tile/0/000', 'tile/0/002.p/188', 'tile/1/000.p/2'])(
    'with a bit flipped is found: %s',
    async (path) => {
      const flip = (bytes: Buffer): Buffer => {
        bytes[bytes.length - 1]! ^= 1
        return bytes
      }
      const at = path.startsWith('tile/0/002') ? 512 : 0
      expect(kinds(await verified(spoil(path, flip), { vkey }))).toEqual([[at, 'wrong-tile']])
    },
  )

  test('that is cut off or missing is found', async () => {
    spoil('tile/0/001', (bytes) => bytes.subarray(32))
    rmSync(join(folder, 'tile/1/000.p/2'))
    expect(kinds(await verified(folder, { vkey }))).toEqual([
      [256, 'wrong-tile'],
      [0, 'missing-tile'],
    ])
  })
})

describe('a checkpoint', () => {
  test('with the root of other entries is found', async () => {
    log()
    writeFileSync(join(folder, 'checkpoint'), signedHead(SIZE, new Uint8Array(32).fill(7)))
    expect(kinds(await verified(folder, { vkey }))).toEqual([[SIZE - 1, 'wrong-root']])
  })

  test('of a smaller tree than is served is verified for what it says', async () => {
    log(entries.slice(0, 256))
    writeTiles(folder, [entries])
    writeFileSync(join(folder, 'checkpoint'), signedHead(256, root(entries.slice(0, 256))))
    expect((await verified(folder, { vkey })).verdict).toMatchObject({ ok: true, size: 256 })
  })

  test('of a larger tree than is served is found', async () => {
    log()
    writeFileSync(join(folder, 'checkpoint'), signedHead(SIZE + 100, new Uint8Array(32)))
    expect(kinds(await verified(folder, { vkey }))).toEqual([[512, 'missing-tile']])
  })

  test('signed by a stranger is found, and nothing behind it is read', async () => {
    const outcome = await verified(log(entries, { signer: STRANGER }), { vkey })
    expect(kinds(outcome)).toEqual([[SIZE - 1, 'not-signed']])
    expect([outcome.verdict.size, outcome.key]).toEqual([0, null])
  })

  test('signed by a stranger is found without a key given too: entry 0 names another', async () => {
    expect(kinds(await verified(log(entries, { signer: STRANGER })))).toEqual([[SIZE - 1, 'not-signed']])
  })

  test('with a signature that does not verify is found', async () => {
    const forged = readFileSync(join(good, 'checkpoint'), 'utf8').replace(`\n${SIZE}\n`, `\n${SIZE - 1}\n`)
    log()
    writeFileSync(join(folder, 'checkpoint'), forged)
    expect(kinds(await verified(folder, { vkey }))).toEqual([[SIZE - 2, 'bad-signature']])
  })

  test('of another origin is found', async () => {
    const signer = signerFromSeed('other.example/ledger', 'ed25519', new Uint8Array(32).fill(9))
    log(entries, { signer })
    expect(kinds(await verified(folder, { vkey }))).toEqual([[SIZE - 1, 'wrong-origin']])
    expect(kinds(await verified(folder, { vkey: signer.key }))).toEqual([
      [0, 'wrong-origin'],
      [0, 'wrong-vkey'],
    ])
  })

  test('signed by the key you gave over a ledger that names another key is found', async () => {
    log(entries, { signer: STRANGER })
    expect(kinds(await verified(folder, { vkey: STRANGER.key }))).toEqual([[0, 'wrong-vkey']])
  })
})

describe('a policy', () => {
  const [one, two] = [witness(1), witness(2)]
  const policy = (quorum: string) =>
    parsePolicy(
      `log ${VKEY}\nwitness one ${formatVkey(one.key)}\nwitness two ${formatVkey(two.key)}\n` +
        `group both all one two\nquorum ${quorum}\n`,
    )

  test('is met by the witnesses that cosigned', async () => {
    const outcome = await verified(log(entries, { witnesses: [one] }), { policy: policy('one') })
    expect([kinds(outcome), outcome.keyFrom]).toEqual([[], 'policy'])
    expect(outcome.cosignatures.map(({ witness }) => witness.name)).toEqual(['witness.example/w1'])
  })

  test('that is not met is a finding, and the state stays as it was', async () => {
    const outcome = await verified(log(entries, { witnesses: [one] }), { policy: policy('both') })
    expect(kinds(outcome)).toEqual([[SIZE - 1, 'quorum-missing']])
    expect(existsSync(statePath)).toBe(false)
  })

  test('does not let one witness stand for another', async () => {
    const outcome = await verified(log(entries, { witnesses: [two] }), { policy: policy('one') })
    expect(kinds(outcome)).toEqual([[SIZE - 1, 'quorum-missing']])
  })
})

describe('a run after another', () => {
  const remembered = (): string => readFileSync(statePath, 'utf8')
  const grow = async (size: number): Promise<void> =>
    void (await verified(log(entries.slice(0, size)), { vkey }))

  test.each([
    [600, 700],
    [512, 700],
    [700, 700],
    [511, 512],
    [256, 600],
    [300, 301],
  ])('resumes, and comes to what a full one comes to: %d, then %d entries', async (before, size) => {
    await grow(before)
    const resumed = await verified(log(entries.slice(0, size)), { vkey })
    const state = remembered()
    const full = await verified(folder, { vkey, full: true })
    expect(resumed.resumedFrom).toBe(Math.floor(before / 256) * 256)
    expect(kinds(resumed)).toEqual([])
    expect(resumed.verdict).toEqual(full.verdict)
    expect(resumed).toMatchObject({ root: full.root, consistentWith: [before] })
    expect(remembered()).toBe(state)
    expect(full.resumedFrom).toBe(0)
  })

  test('finds a log that has become shorter, and keeps both checkpoints', async () => {
    await grow(700)
    const before = remembered()
    const outcome = await verified(log(entries.slice(0, 600)), { vkey })
    expect(kinds(outcome)).toEqual([[600, 'log-shrunk']])
    expect(remembered()).toBe(before)
    expect(outcome.evidence.map((path) => parseSignedCheckpoint(readFileSync(path)).size)).toEqual([700, 600])
  })

  test.each([600, 700])('finds a log that tells another history: %d entries of it', async (size) => {
    await grow(600)
    const before = remembered()
    const outcome = await verified(log(rewritten(0, size)), { vkey })
    expect(kinds(outcome)).toEqual([[599, 'log-forked']])
    expect([outcome.resumedFrom, outcome.evidence.length]).toEqual([0, 2])
    expect(remembered()).toBe(before)
  })

  test('finds a log whose later entries do not follow from the earlier ones', async () => {
    await grow(600)
    const outcome = await verified(log(rewritten(520, 700)), { vkey })
    expect(new Set(kinds(outcome).map(([, kind]) => kind))).toContain('log-forked')
    expect(kinds(outcome)[0]).toEqual([520, 'broken-link'])
  })

  test('after a finding finds it again, and remembers nothing of either', async () => {
    await grow(300)
    const before = remembered()
    rmSync(folder, { recursive: true })
    spoil('tile/entries/002.p/188', replaced('"aud":"sts', '"aud":"stz'))
    for (let i = 0; i < 2; i += 1) {
      expect((await verified(folder, { vkey })).verdict.ok).toBe(false)
      expect(remembered()).toBe(before)
    }
  })

  test('under another key does not believe what was remembered', async () => {
    await grow(600)
    const outcome = await verified(log(entries, { signer: STRANGER }), { vkey: STRANGER.key })
    expect(kinds(outcome)).toEqual([[0, 'wrong-vkey']])
    expect(outcome).toMatchObject({ otherKeyRemembered: true, resumedFrom: 0, consistentWith: [] })
  })

  test('under the right key replaces what was remembered of a wrong one', async () => {
    const forged = new LedgerBuilder().open({ vkey: formatVkey(STRANGER.key) }).brokerStarted()
    expect(kinds(await verified(log(forged.entries, { signer: STRANGER })))).toEqual([])
    rmSync(folder, { recursive: true })
    expect(await verified(good, { vkey })).toMatchObject({ verdict: { ok: true }, otherKeyRemembered: true })
    expect(await verified(good, { vkey })).toMatchObject({
      otherKeyRemembered: false,
      consistentWith: [SIZE],
    })
  })

  test('reads everything again once the rules are others, and holds the ledger against the checkpoint', async () => {
    await grow(600)
    const { rules, ...before } = JSON.parse(remembered()) as { rules: number }
    writeFileSync(statePath, JSON.stringify(before))
    const first = await verified(good, { vkey })
    expect(first).toMatchObject({ resumedFrom: 0, consistentWith: [600] })
    expect(JSON.parse(remembered())).toMatchObject({ rules })
    expect((await verified(good, { vkey })).resumedFrom).toBe(512)
  })

  test('that cannot remember has its verdict all the same', async () => {
    mkdirSync(states, { recursive: true })
    writeFileSync(statePath, '')
    const outcome = await verified(good, { vkey, statePath: join(statePath, 'below', 'a-file.json') })
    expect(outcome.verdict.ok).toBe(true)
    expect(outcome.notRemembered).toContain('cannot be written')
  })

  test('follows a link to its state, and replaces nothing that is no regular file', async () => {
    const link = join(states, 'link.json')
    mkdirSync(states, { recursive: true })
    await grow(600)
    symlinkSync(statePath, link)
    expect((await verified(good, { vkey, statePath: link })).resumedFrom).toBe(512)
    expect(lstatSync(link).isSymbolicLink()).toBe(true)
    expect((await verified(good, { vkey })).consistentWith).toEqual([SIZE])
    await expect(verified(good, { vkey, statePath: '/dev/null' })).rejects.toThrow('is no regular file')
  })

  test('of a mirror with a byte changed finds that, and never a fork', async () => {
    await grow(700)
    rmSync(folder, { recursive: true })
    spoil('tile/entries/000', replaced('"aud":"sts', '"aud":"stz'))
    const outcome = await verified(folder, { vkey, full: true })
    expect(new Set(kinds(outcome).map(([, kind]) => kind))).toEqual(
      new Set(['broken-link', 'wrong-tile', 'wrong-root']),
    )
    expect(outcome.evidence).toEqual([])
    const older = parseSignedCheckpoint(signedHead(300, root(entries.slice(0, 300))))
    const kindsOfBoth = kinds(await verified(folder, { vkey, checkpoint: older })).map(([, kind]) => kind)
    expect(kindsOfBoth).not.toContain('log-forked')
  })

  test('without a key finds that the log has changed its own', async () => {
    await verified(log(entries.slice(0, 600)))
    const forged = new LedgerBuilder().open({ vkey: formatVkey(STRANGER.key) }).brokerStarted()
    expect(kinds(await verified(log(forged.entries, { signer: STRANGER })))).toEqual([[1, 'not-signed']])
  })

  test.each(['', '{}', '{"v":2}', 'null', '{"v":1,"checkpoint":"x"}'])(
    'does not go by a state that is none: %j',
    async (text) => {
      mkdirSync(states, { recursive: true })
      writeFileSync(statePath, text)
      await expect(verified(good, { vkey })).rejects.toThrow('is no state of verify-ledger')
      expect(remembered()).toBe(text)
    },
  )

  test('that does not remember leaves no file', async () => {
    await verified(good, { vkey, statePath: 'none' })
    expect(readdirSync(states).filter((name) => name.startsWith(`${runs}.`))).toEqual([])
  })
})

describe('an older checkpoint that you give', () => {
  const older = (size: number, of: readonly Sealed[] = entries) =>
    parseSignedCheckpoint(signedHead(size, root(of.slice(0, size))))

  test('is what the ledger has grown from, whatever it is read from', async () => {
    const [sqlite, jsonl] = [join(scratch, 'ledger.sqlite'), join(scratch, 'ledger.jsonl')]
    writeSqlite(sqlite, [entries])
    writeJsonl(
      jsonl,
      entries.map(({ text }) => text),
    )
    for (const source of [good, `sqlite:${sqlite}`, jsonl]) {
      for (const size of [1, 256, 300, 700]) {
        const outcome = await verified(source, { vkey, checkpoint: older(size) })
        expect([kinds(outcome), outcome.consistentWith]).toEqual([[], expect.arrayContaining([size])])
      }
      expect(kinds(await verified(source, { vkey: STRANGER.key, checkpoint: older(300) }))[0]?.[1]).toBe(
        'not-signed',
      )
    }
    expect(kinds(await verified(jsonl, { vkey, checkpoint: older(600, rewritten(0, 600)) }))).toEqual([
      [599, 'other-head'],
    ])
    expect(
      kinds(await verified(jsonl, { checkpoint: parseSignedCheckpoint(signedHead(701, root([]))) })),
    ).toEqual([[700, 'cut-off']])
  })

  test('of another history is a fork', async () => {
    const outcome = await verified(good, { vkey, checkpoint: older(600, rewritten(0, 600)) })
    expect(kinds(outcome)).toEqual([[599, 'log-forked']])
    expect(outcome.evidence).toHaveLength(2)
  })

  test('from before what is remembered is read up to from the beginning', async () => {
    await verified(log(entries.slice(0, 600)), { vkey })
    const outcome = await verified(good, { vkey, checkpoint: older(100) })
    expect([kinds(outcome), outcome.resumedFrom, outcome.consistentWith]).toEqual([[], 0, [100, 600]])
  })
})

test('the signer of these logs is the one that LedgerOpened names', () => {
  expect(formatVkey(LOG_SIGNER.key)).toBe(VKEY)
})
