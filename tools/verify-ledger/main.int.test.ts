import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import Database from 'better-sqlite3'

import { parseSignedCheckpoint } from '../../src/domain/ledger/checkpoint.js'
import { inclusionProof } from '../../src/domain/ledger/merkle.js'
import { formatProof } from '../../src/domain/ledger/proof.js'
import { GrownTree } from '../../test/support/grown-tree.js'
import {
  LedgerBuilder,
  ledgerOf,
  ORIGIN,
  VKEY,
  writeJsonl,
  writeSqlite,
} from '../../test/support/ledger-builder.js'
import { signedHead, writeTiles } from '../../test/support/tile-writer.js'

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url))

interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

function run(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const env = { ...process.env, XDG_STATE_HOME: join(folder, 'state') }
    const child = spawn(process.execPath, [MAIN, ...args], { env })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

const ledger = LedgerBuilder.opened().oidcMint().awsMint().refused()
const { texts, head, entries } = ledger
let folder: string
let sqlite: string
let jsonl: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'verify-ledger-'))
  sqlite = join(folder, 'ledger.sqlite')
  jsonl = join(folder, 'ledger.jsonl')
  writeSqlite(sqlite, [entries])
  writeJsonl(jsonl, texts)
})
afterAll(() => rmSync(folder, { recursive: true }))

/** A file of its own for a test. */
const file = (name: string, rows: readonly string[]): string => {
  writeJsonl(join(folder, name), rows)
  return join(folder, name)
}

describe('a ledger that no one touched', () => {
  test('is verified, in words', async () => {
    const { code, stdout, stderr } = await run(`sqlite:${sqlite}`)
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toContain(`head     ${head}\n`)
    expect(stdout).toContain('VERIFIED: every entry')
    expect(stdout).toContain(`cannot show that its own tail was cut off`)
    expect(stdout).toContain(`--expect-size 10 --expect-head ${head}\n`)
  })

  test('is verified, as one JSON object', async () => {
    for (const [source, signedSize] of [
      [`sqlite:${sqlite}`, 10],
      [jsonl, 0],
    ] as const) {
      const { code, stdout, stderr } = await run(source, '--json')
      expect([code, stderr]).toEqual([0, ''])
      expect(JSON.parse(stdout)).toEqual({
        ...{
          ok: true,
          size: 10,
          head,
          root: null,
          resumedFrom: 0,
          entriesRead: 10,
          signedSize,
          notRemembered: null,
          log: null,
          firstFinding: null,
          findingCount: 0,
          findingsByKind: {},
          findings: [],
        },
        seconds: expect.any(Number) as unknown,
        entriesPerSecond: expect.any(Number) as unknown,
        counts: {
          byType: {
            ...{ LedgerOpened: 1, BrokerStarted: 1, SigningKeyPublished: 1, SigningKeyActivated: 1 },
            ...{ SessionValidated: 2, JwtIssued: 2, CredsMinted: 1, MintRefused: 1 },
          },
          ...{ unknownType: 0, unanswered: 0 },
        },
      })
    }
  })

  test('is called VERIFIED as far as a signature vouches for it, and no further', async () => {
    const stored = await run(`sqlite:${sqlite}`)
    expect(stored.stdout).toContain('Up to entry 9 it is signed, with the key that the log names itself')
    expect((await run(`sqlite:${sqlite}`, '--vkey', VKEY)).stdout).toContain('signed, with the key you gave')

    const exported = await run(jsonl)
    expect([exported.code, exported.stdout.includes('VERIFIED')]).toEqual([0, false])
    expect(exported.stdout).toContain('CONSISTENT, NOT SIGNED: every entry')

    const checkpoint = join(folder, 'of-seven.checkpoint')
    writeTiles(join(folder, 'of-seven'), [entries.slice(0, 7)])
    copyFileSync(join(folder, 'of-seven/checkpoint'), checkpoint)
    const { code, stdout } = await run(jsonl, '--vkey', VKEY, '--checkpoint', checkpoint)
    expect(code).toBe(0)
    expect(stdout).toContain('VERIFIED UP TO ENTRY 6: every entry')
    expect(stdout).toContain('CONSISTENT, NOT SIGNED from entry 7 on')
    expect(stdout).not.toContain('VERIFIED: every')
  })

  test('is the one that the reader remembers', async () => {
    const remembered = ['--expect-size', '5', '--expect-head', entries[4]!.leafHash]
    const { code, stdout } = await run(jsonl, ...remembered)
    expect(code).toBe(0)
    expect(stdout).toContain('The first 5 entries are those you remember.')
  })
})

describe('findings', () => {
  test('exit with 1 and name the entry, the kind and the next step', async () => {
    const { code, stdout, stderr } = await run(
      file('edited.jsonl', texts.with(5, texts[5]!.replace('sts.', 'stz.'))),
    )
    expect([code, stderr]).toEqual([1, ''])
    expect(stdout).toContain('NOT VERIFIED: 1 finding (1 broken-link)')
    expect(stdout).toContain('entry 6: broken-link\n')
    expect(stdout).toContain('Treat the ledger as altered here')
    expect(stdout).not.toContain('--expect-size')
  })

  test('are the same as JSON', async () => {
    const { code, stdout } = await run(file('gone.jsonl', texts.toSpliced(9, 1, texts[0]!)), '--json')
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, firstFinding: { index: 9, kind: 'wrong-index' } })
  })

  test('include a tail that was cut off, if its size is remembered', async () => {
    const cut = file('cut.jsonl', texts.slice(0, 8))
    expect((await run(cut)).code).toBe(0)
    const { code, stdout } = await run(cut, '--expect-size', '10', '--expect-head', head)
    expect(code).toBe(1)
    expect(stdout).toContain('entry 8: cut-off\n')
  })

  test('include another history than is remembered', async () => {
    const { code, stdout } = await run(jsonl, '--expect-size', '5', '--expect-head', head)
    expect(code).toBe(1)
    expect(stdout).toContain('entry 4: other-head\n')
  })

  test('include an export that was cut off within a line', async () => {
    const cut = join(folder, 'half.jsonl')
    writeFileSync(cut, readFileSync(jsonl, 'utf8').slice(0, -20))
    const { code, stdout } = await run(cut)
    expect(code).toBe(1)
    expect(stdout).toContain('entry 9: malformed\n')
  })

  test('put nothing on the terminal but printable ASCII', async () => {
    const hostile = LedgerBuilder.opened().append({
      type: 'A\u001b[2J',
      data: { '\u202e': 1 },
    } as never).texts
    const { code, stdout } = await run(file('\u0007hostile.jsonl', [...hostile, '\u001b]0;owned\u0007']))
    expect(code).toBe(1)
    expect(stdout).toMatch(/^[\x20-\x7e\n]*$/)
  })
})

describe('wrong usage exits with 2 and says what was expected', () => {
  test.each([
    [[], 'SOURCE is missing'],
    [['export'], 'SOURCE is missing'],
    [['ledger.sqlite'], 'Did you mean sqlite:ledger.sqlite?'],
    [['sqlite:'], 'needs the path of a file'],
    [['ftp://x/ledger'], 'SOURCE cannot be ftp:'],
    [['a.jsonl', 'b.jsonl'], 'one SOURCE at a time'],
    [['a.jsonl', '--vkey', 'x'], '--vkey: '],
    [['a.jsonl', '--state', 'x', '--no-state'], 'exclude each other'],
    [['https://u:p@x.example/ledger'], 'must not hold a user'],
    [['a.jsonl', '--nope'], "Unknown option '--nope'"],
    [['a.jsonl', '--expect-size', '0'], '--expect-size must be a number'],
    [['a.jsonl', '--expect-size', '1e3'], '--expect-size must be a number'],
    [['a.jsonl', '--expect-head', 'f'.repeat(64)], '--expect-head needs --expect-size'],
    [['a.jsonl', '--expect-size', '1', '--expect-head', 'F'.repeat(64)], '--expect-head must be 64'],
  ])('%j', async (args, message) => {
    const { code, stdout, stderr } = await run(...args)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain(message)
    expect(stderr).toContain('Try verify-ledger --help\n')
  })
})

describe('what cannot be read exits with 3', () => {
  test('a file that is not there, and is not made', async () => {
    const missing = join(folder, 'missing')
    for (const [source, said] of [
      [`sqlite:${missing}.sqlite`, /^verify-ledger: there is no ledger at .*missing\.sqlite\n$/],
      [`${missing}.jsonl`, /^verify-ledger: .*missing.* cannot be read: .*\n$/],
    ] as const) {
      const { code, stdout, stderr } = await run(source)
      expect([code, stdout]).toEqual([3, ''])
      expect(stderr).toMatch(said)
    }
    expect(existsSync(`${missing}.sqlite`)).toBe(false)
  })

  test('a database that is something else', async () => {
    const path = join(folder, 'other.sqlite')
    new Database(path).exec('CREATE TABLE mint_log (id INTEGER)').close()
    const { code, stderr } = await run(`sqlite:${path}`)
    expect(code).toBe(3)
    expect(stderr).toContain('holds no ledger')
  })
})

describe('a log', () => {
  const log = (): string => {
    const path = join(folder, 'log')
    rmSync(path, { recursive: true, force: true })
    writeTiles(path, [entries])
    return path
  }

  test('is verified, and remembered below $XDG_STATE_HOME', async () => {
    const first = await run(log(), '--vkey', VKEY)
    expect([first.code, first.stderr]).toEqual([0, ''])
    expect(first.stdout).toContain('signed   with the key you gave\n')
    expect(first.stdout).toContain('The tree of these entries is the one that was signed')
    const [name] = readdirSync(join(folder, 'state/agentkeys/verify-ledger'))
    expect(name).toBe(`${createHash('sha256').update(ORIGIN).digest('hex')}.json`)
    expect((await run(log(), '--vkey', VKEY)).stdout).toContain(
      'It has grown from the checkpoint of 10 entries',
    )
  })

  test('that is resumed says which tiles it has not read again; --full reads them', async () => {
    const path = join(folder, 'resumed')
    writeTiles(path, ledgerOf(300))
    const args = [path, '--vkey', VKEY, '--state', join(folder, 'resumed.json')]
    expect((await run(...args)).stdout).toContain('and every tile is as it must be.\n')
    const tile = join(path, 'tile/0/000')
    writeFileSync(tile, readFileSync(tile).reverse())
    const again = await run(...args)
    expect(again.code).toBe(0)
    expect(again.stdout).toContain(
      'every tile from entry 256 on is as it must be: --full reads those before again',
    )
    const full = await run(...args, '--full')
    expect([full.code, full.stdout.includes('entry 0: wrong-tile')]).toEqual([1, true])
  })

  test('that names its own key is said to prove nothing', async () => {
    const { code, stdout } = await run(log(), '--no-state')
    expect(code).toBe(0)
    expect(stdout).toContain('the key that the log names itself: that proves nothing')
  })

  test('that forks leaves the evidence and exits with 1', async () => {
    const state = join(folder, 'fork.json')
    expect((await run(log(), '--state', state)).code).toBe(0)
    const other = join(folder, 'other')
    writeTiles(other, [LedgerBuilder.opened(2).oidcMint().awsMint().refused().entries])
    const { code, stdout } = await run(other, '--state', state, '--json')
    expect(code).toBe(1)
    const report = JSON.parse(stdout) as { log: { evidence: string[] } }
    expect(report).toMatchObject({ ok: false, findingsByKind: { 'log-forked': 1 } })
    for (const path of report.log.evidence) expect(readFileSync(path, 'utf8')).toContain(ORIGIN)
    expect((await run(other, '--state', state)).stdout).toContain(`evidence\n  ${report.log.evidence[0]!}`)
  })

  test('is exported like any other source', async () => {
    expect((await run('export', log())).stdout).toBe(readFileSync(jsonl, 'utf8'))
  })
})

describe('receipt', () => {
  const receipt = (index: number): string => {
    const tree = new GrownTree(texts.map((text) => new TextEncoder().encode(text)))
    const checkpoint = parseSignedCheckpoint(signedHead(texts.length, tree.rootAt(texts.length)))
    const path = inclusionProof(index, texts.length, tree.read)
    const name = join(folder, 'mint.tlog-proof')
    writeFileSync(name, formatProof({ extra: Buffer.from(texts[index]!), index, path, checkpoint }))
    return name
  }

  test('proves that an entry was logged', async () => {
    const line = join(folder, 'entry.json')
    writeFileSync(line, `${texts[8]!}\n`)
    const args = ['receipt', '--vkey', VKEY, '--receipt', receipt(8), '--entry', line]
    const { code, stdout, stderr } = await run(...args)
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toContain('PROVEN: this entry, byte for byte, was logged.')
    expect(JSON.parse((await run(...args, '--json')).stdout)).toMatchObject({
      ...{ ok: true, origin: ORIGIN, leafHash: entries[8]!.leafHash, entry: { type: 'CredsMinted' } },
    })
  })

  test('alone proves the entry that it carries, and says that nothing was compared with it', async () => {
    const args = ['receipt', '--vkey', VKEY, '--receipt', receipt(5)]
    const { code, stdout, stderr } = await run(...args)
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toContain(`entry    5, JwtIssued, `)
    expect(stdout).toContain(`\n${texts[5]!}\n\nPROVEN: the entry that the receipt carries`)
    expect(stdout).toContain('It was compared with no JWT and with no entry of yours')
    expect(stdout).not.toContain('this JWT')
    expect(JSON.parse((await run(...args, '--json')).stdout)).toMatchObject({
      ...{ ok: true, entry: JSON.parse(texts[5]!) as unknown, compared: { jwt: false, entry: false } },
    })
  })

  test('alone proves nothing when its entry was changed, or is not there', async () => {
    const path = receipt(5)
    const text = readFileSync(path, 'utf8')
    const [first = '', extra = '', ...rest] = text.split('\n')
    expect(extra).toMatch(/^extra /)
    const changed = texts[5]!.replace('oidc_jwt', 'oidc_jwx')
    writeFileSync(path, [first, `extra ${Buffer.from(changed).toString('base64')}`, ...rest].join('\n'))
    const altered = await run('receipt', '--vkey', VKEY, '--receipt', path)
    expect([altered.code, altered.stdout.split('\n')[0]]).toEqual([1, 'NOT PROVEN: not-included'])
    writeFileSync(path, [first, ...rest].join('\n'))
    const without = await run('receipt', '--vkey', VKEY, '--receipt', path)
    expect([without.code, without.stdout.split('\n')[0]]).toEqual([1, 'NOT PROVEN: no-entry'])
    const other = VKEY.replace('broker', 'borker')
    expect((await run('receipt', '--vkey', other, '--receipt', receipt(5))).code).toBe(2)
  })

  test('with a line end more, as jq -r writes it, is refused with a remedy', async () => {
    const path = receipt(5)
    writeFileSync(path, `${readFileSync(path, 'utf8')}\n`)
    const { code, stdout, stderr } = await run('receipt', '--vkey', VKEY, '--receipt', path)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain('it ends in a blank line: write it with jq -j')
  })

  test('proves nothing of a JWT that is another, and does not print it', async () => {
    const jwt = join(folder, 'token.jwt')
    writeFileSync(jwt, `e30.e30.${'A'.repeat(86)}\n`)
    const { code, stdout, stderr } = await run(
      'receipt',
      '--vkey',
      VKEY,
      '--receipt',
      receipt(5),
      '--jwt',
      jwt,
    )
    expect([code, stderr]).toEqual([1, ''])
    expect(stdout).toContain('NOT PROVEN: other-jwt\n')
    expect(stdout).not.toContain('e30.')
  })

  test.each([
    [['receipt'], '--receipt FILE is missing'],
    [['receipt', '--receipt', 'x'], '--vkey V is missing'],
    [['receipt', '--receipt', 'x', '--jwt', 'y'], '--vkey V is missing'],
    [['receipt', '--receipt', 'x', '--jwt', 'y', '--vkey', 'z'], '--vkey: '],
  ])('with wrong usage exits with 2: %j', async (args, message) => {
    const { code, stderr } = await run(...args)
    expect(code).toBe(2)
    expect(stderr).toContain(message)
  })
})

describe('export', () => {
  test('writes every entry as stored, and what it writes is verified', async () => {
    expect(await run('export', `sqlite:${sqlite}`)).toEqual({
      code: 0,
      stdout: readFileSync(jsonl, 'utf8'),
      stderr: '',
    })
    expect((await run('export', jsonl)).stdout).toBe(readFileSync(jsonl, 'utf8'))
  })

  test('writes a file whole', async () => {
    const out = join(folder, 'out.jsonl')
    writeFileSync(out, 'what was there before')
    expect(await run('export', `sqlite:${sqlite}`, '--out', out)).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(readFileSync(out, 'utf8')).toBe(readFileSync(jsonl, 'utf8'))
  })

  test('leaves no file when a row is no line', async () => {
    const path = join(folder, 'blob.sqlite')
    const loose = new Database(path).exec('CREATE TABLE ledger (idx INTEGER PRIMARY KEY, entry)')
    loose.exec("INSERT INTO ledger VALUES (0, 'x'), (1, x'00')").close()
    const { code, stderr } = await run('export', `sqlite:${path}`, '--out', join(folder, 'none.jsonl'))
    expect([code, stderr]).toEqual([
      1,
      'verify-ledger: entry 1 cannot be exported: the row holds blob, not text\n',
    ])
    expect(readdirSync(folder).filter((name) => name.includes('none'))).toEqual([])
  })

  test('that cannot write says so', async () => {
    const { code, stderr } = await run('export', jsonl, '--out', join(folder, 'no-folder', 'out.jsonl'))
    expect(code).toBe(3)
    expect(stderr).toContain('cannot be written: ENOENT')
  })
})

test('--help and --version answer on stdout', async () => {
  const help = await run('--help')
  expect([help.code, help.stderr]).toEqual([0, ''])
  expect(help.stdout).toContain('verify-ledger export SOURCE')
  expect((await run('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
})
