// Someone else's code reads our log: golang.org/x/mod/sumdb, by the small program beside this file.

import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

import { formatSkey, formatVkey } from '../../src/domain/ledger/note.js'
import { BrokerProcess } from '../support/broker-process.js'
import { ledgerOf, ORIGIN, VKEY, writeSqlite } from '../support/ledger-builder.js'
import { TileServer, type TileServerOptions } from '../support/tile-server.js'
import { witness, writeTiles } from '../support/tile-writer.js'

/** Seen from dist/test/go, where this runs. */
const SOURCE = fileURLToPath(new URL('../../../test/go/main.go', import.meta.url))
const DEBIAN = { GO111MODULE: 'off', GOPATH: '/usr/share/gocode' }

const scratch = mkdtempSync(join(tmpdir(), 'tlog-reader-'))
const program = join(scratch, 'tlog-reader')
afterAll(() => rmSync(scratch, { recursive: true }))

const { version, reason } = goWithTlog()

/** Go's version, or why it cannot be used: without it, or without Debian's golang-golang-x-mod-dev, nothing is tested. */
function goWithTlog(): { version?: string; reason?: string } {
  const env = { ...process.env, ...DEBIAN }
  const go = spawnSync('go', ['version'], { env, encoding: 'utf8' })
  if (go.status !== 0) return { reason: 'go is not on the PATH' }
  const library = spawnSync('go', ['list', 'golang.org/x/mod/sumdb/tlog'], { env, encoding: 'utf8' })
  if (library.status !== 0) return { reason: 'golang.org/x/mod is not below /usr/share/gocode' }
  return { version: go.stdout.split(' ')[2] ?? 'go' }
}

interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

function read(url: string, vkey = VKEY, env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(program, [url, vkey], { env: { ...process.env, ...env } })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

async function served(folder: string, options: TileServerOptions, use: (url: string) => Promise<void>) {
  const server = await TileServer.start(folder, options)
  try {
    await use(server.url)
  } finally {
    await server.stop()
  }
}

/** Answers that one path with its file, of which the last byte is another. */
const tampered = (folder: string, wanted: string): TileServerOptions => ({
  instead: (path, response) => {
    if (path !== wanted) return false
    const bytes = readFileSync(join(folder, path))
    bytes[bytes.length - 1]! ^= 1
    response.writeHead(200).end(bytes)
    return true
  },
})

if (version === undefined) {
  test(`Go's own code did not read the log: ${reason}`, () => {
    expect(readFileSync(SOURCE, 'utf8')).toContain('golang.org/x/mod/sumdb/tlog')
  })
} else {
  describe(`golang.org/x/mod/sumdb, built with ${version}`, () => {
    const log = (size: number): string => join(scratch, `log-${size}`)
    beforeAll(() => {
      const build = ['build', '-o', program, SOURCE]
      const env = { ...process.env, ...DEBIAN, GOCACHE: join(scratch, 'cache') }
      const { status, stderr } = spawnSync('go', build, { env, encoding: 'utf8' })
      expect([status, stderr]).toEqual([0, ''])
      writeTiles(log(257), ledgerOf(257), { witnesses: [witness(1)] })
    }, 600_000)

    test.each([1, 255, 256, 257, 70_000])(
      'finds every entry of a log of %d in its tree',
      async (size) => {
        if (size !== 257) writeTiles(log(size), ledgerOf(size))
        await served(log(size), {}, async (url) => {
          expect(await read(url)).toEqual({
            code: 0,
            stdout: `${size} entries are in the tree\n`,
            stderr: '',
          })
        })
      },
      600_000,
    )

    test.each(['tile/entries/000', 'tile/entries/001.p/1', 'tile/0/000', 'tile/1/000.p/1', 'checkpoint'])(
      'refuses a log of which one byte is another: %s',
      async (path) => {
        await served(log(257), tampered(log(257), path), async (url) => {
          const { code, stdout } = await read(url)
          expect([code, stdout]).toEqual([1, ''])
        })
      },
    )

    test('refuses a log of another key', async () => {
      await served(log(257), {}, async (url) => {
        const { code } = await read(
          url,
          VKEY.replace(/\+.*/, formatVkey(witness(1).key).replace(/^[^+]+/, '')),
        )
        expect(code).toBe(1)
      })
    })

    // Of a size that it begins with, a broker adds its key (two entries), the next one, the old key's end, and that it started.
    test.each([255, 256, 257, 70_000])(
      'reads all %d entries of a live broker, with the auditor token, and not without',
      async (size) => {
        const dataDir = mkdtempSync(join(scratch, 'live-'))
        writeSqlite(join(dataDir, 'ledger.sqlite'), ledgerOf(size - 5))
        const seed = Uint8Array.from({ length: 32 }, (_, i) => i)
        writeFileSync(join(dataDir, 'ledger-key.json'), JSON.stringify({ skey: formatSkey(ORIGIN, seed) }), {
          mode: 0o600,
        })
        const broker = await BrokerProcess.start({ dataDir, env: { BROKER_LEDGER_ORIGIN: ORIGIN } })
        try {
          const url = `${broker.url}/ledger`
          const env = { TLOG_TOKEN_FILE: join(dataDir, 'auditor-token') }
          expect(await read(url, VKEY, env)).toEqual({
            code: 0,
            stdout: `${size} entries are in the tree\n`,
            stderr: '',
          })
          expect((await read(url)).code).toBe(1)
        } finally {
          await broker.dispose()
        }
      },
      600_000,
    )

    test('shows the auditor token', async () => {
      const file = join(scratch, 'token')
      writeFileSync(file, 'c2VjcmV0\n')
      await served(log(257), { token: 'c2VjcmV0' }, async (url) => {
        expect((await read(url)).code).toBe(1)
        expect((await read(url, VKEY, { TLOG_TOKEN_FILE: file })).code).toBe(0)
      })
    })
  })
}
