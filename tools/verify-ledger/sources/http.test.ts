import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'

import { parseVkey } from '../../../src/domain/ledger/note.js'
import { ledgerOf, VKEY } from '../../../test/support/ledger-builder.js'
import { freePort } from '../../../test/support/free-port.js'
import { TileServer, type TileServerOptions } from '../../../test/support/tile-server.js'
import { writeTiles } from '../../../test/support/tile-writer.js'
import { type Outcome, verify } from '../verification.js'

import { HttpFiles, type HttpOptions } from './http.js'
import { openSource, parseSource } from './open.js'
import { TileSource } from './tiles.js'

const folder = mkdtempSync(join(tmpdir(), 'verify-ledger-'))
beforeAll(() => void writeTiles(folder, ledgerOf(600)))
afterAll(() => rmSync(folder, { recursive: true }))

const running: TileServer[] = []
afterEach(async () => {
  for (const server of running.splice(0)) await server.stop()
})

async function serve(options: TileServerOptions = {}): Promise<TileServer> {
  const server = await TileServer.start(folder, options)
  running.push(server)
  return server
}

async function verified(url: string, options: HttpOptions = {}): Promise<Outcome> {
  const source = await TileSource.open(new HttpFiles(url, { backOffMs: 1, ...options }))
  try {
    return await verify(source, { vkey: parseVkey(VKEY), statePath: 'none' })
  } finally {
    await source.close()
  }
}

const kinds = ({ verdict }: Outcome): [number, string][] =>
  verdict.findings.map(({ index, kind }) => [index, kind])

/** Answers the first `times` requests for that path so. */
const firstTimes = (times: number, wanted: string, answer: (response: ServerResponse) => void) => {
  let left = times
  return (path: string, response: ServerResponse): boolean => {
    if (path !== wanted || left === 0) return false
    left -= 1
    answer(response)
    return true
  }
}

test('reads each file of a log once, and no other', async () => {
  const server = await serve()
  expect(kinds(await verified(server.url))).toEqual([])
  expect(server.asked.map(({ path }) => path).sort()).toEqual([
    'checkpoint',
    ...['tile/0/000', 'tile/0/001', 'tile/0/002.p/88', 'tile/1/000.p/2'],
    ...['tile/entries/000', 'tile/entries/001', 'tile/entries/002.p/88'],
  ])
})

test('takes what is compressed', async () => {
  const server = await serve({ gzip: true })
  expect((await verified(`${server.url}/`)).verdict).toMatchObject({ ok: true, size: 600 })
})

describe('the auditor token', () => {
  test('goes along with entry bundles, and with nothing else', async () => {
    const server = await serve({ token: 'c2VjcmV0' })
    expect(kinds(await verified(server.url, { token: 'c2VjcmV0' }))).toEqual([])
    for (const { path, authorization } of server.asked)
      expect(authorization).toBe(path.startsWith('tile/entries/') ? 'Bearer c2VjcmV0' : undefined)
  })

  test('that is missing or wrong is asked for, and not shown', async () => {
    const server = await serve({ token: 'c2VjcmV0' })
    await expect(verified(server.url)).rejects.toThrow(
      'answered 401: entries need the auditor token; give it with',
    )
    const wrong = await verified(server.url, { token: 'd3Jvbmc' }).catch((error: Error) => error.message)
    expect(wrong).toContain('this one is not it')
    expect(wrong).not.toContain('d3Jvbmc')
  })

  test('is read from a file', async () => {
    const server = await serve({ token: 'c2VjcmV0' })
    const tokenFile = join(folder, 'token')
    writeFileSync(tokenFile, 'c2VjcmV0\n')
    const source = await openSource(await parseSource(server.url), { tokenFile })
    expect((await verify(source, { statePath: 'none' })).verdict.ok).toBe(true)
    await source.close()
    writeFileSync(tokenFile, 'two tokens\n')
    await expect(openSource(await parseSource(server.url), { tokenFile })).rejects.toThrow(
      'must hold one token',
    )
    await expect(openSource({ kind: 'directory', path: folder }, { tokenFile })).rejects.toThrow(
      '--token-file is for',
    )
  })

  test('does not go over plain HTTP but to this machine', () => {
    expect(() => new HttpFiles('http://broker.example.com/ledger', { token: 'c2VjcmV0' })).toThrow(
      'over https:',
    )
  })
})

describe('a server that is busy', () => {
  test.each([500, 502, 503, 429])('is asked again after %d', async (status) => {
    const instead = firstTimes(2, 'tile/entries/001', (response) => response.writeHead(status).end())
    expect(kinds(await verified((await serve({ instead })).url))).toEqual([])
  })

  test('is asked again after it hung up', async () => {
    const instead = firstTimes(2, 'tile/0/001', (response) => response.destroy())
    expect(kinds(await verified((await serve({ instead })).url))).toEqual([])
  })

  test('for good is an error that says nothing about the ledger', async () => {
    const instead = firstTimes(Infinity, 'tile/0/001', (response) => response.writeHead(503).end())
    await expect(verified((await serve({ instead })).url)).rejects.toThrow(
      'cannot be read: tile/0/001 answered 503 (5 attempts)',
    )
  })

  test('does not get the full tile asked for in place of the partial one: that is for 404 alone', async () => {
    const instead = firstTimes(Infinity, 'tile/0/002.p/88', (response) => response.writeHead(500).end())
    const server = await serve({ instead })
    await expect(verified(server.url)).rejects.toThrow('answered 500')
    expect(server.asked.map(({ path }) => path)).not.toContain('tile/0/002')
  })
})

describe('a server that misbehaves', () => {
  test('by sending elsewhere is not followed', async () => {
    const elsewhere = await serve()
    const instead = firstTimes(1, 'tile/0/001', (response) =>
      response.writeHead(302, { location: `${elsewhere.url}/tile/0/001` }).end(),
    )
    await expect(verified((await serve({ instead })).url)).rejects.toThrow('redirects are not followed')
    expect(elsewhere.asked).toEqual([])
  })

  test('by sending more than a file may have is not read to the end', async () => {
    const instead = firstTimes(1, 'tile/0/001', (response) =>
      response.writeHead(200).end(Buffer.alloc(10_000)),
    )
    await expect(verified((await serve({ instead })).url)).rejects.toThrow('longer than 8192 bytes')
  })

  test('by packing more than a file may have is not unpacked to the end', async () => {
    const { gzipSync } = await import('node:zlib')
    const bomb = gzipSync(Buffer.alloc(1_000_000))
    const instead = firstTimes(1, 'tile/0/001', (response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
    )
    await expect(verified((await serve({ instead })).url)).rejects.toThrow('longer than 8192 bytes')
  })

  test('by an encoding no one asked for is an error', async () => {
    const instead = firstTimes(1, 'checkpoint', (response) =>
      response.writeHead(200, { 'content-encoding': 'br' }).end('x'),
    )
    await expect(verified((await serve({ instead })).url)).rejects.toThrow('content encoding')
  })

  test.each(['<html>', '', 'broker.example.com/ledger\n1\n'])(
    'by a checkpoint that is none holds no ledger: %j',
    async (text) => {
      const instead = firstTimes(1, 'checkpoint', (response) => response.writeHead(200).end(text))
      await expect(verified((await serve({ instead })).url)).rejects.toThrow('holds no ledger')
    },
  )

  test('by having no checkpoint holds no ledger', async () => {
    const instead = firstTimes(1, 'checkpoint', (response) => response.writeHead(404).end())
    await expect(verified((await serve({ instead })).url)).rejects.toThrow('there is no checkpoint')
  })

  test('by a bundle that was tampered with is found', async () => {
    const bundle = readFileSync(join(folder, 'tile/entries/001'), 'latin1').replace('"aud":"s', '"aud":"S')
    const instead = firstTimes(1, 'tile/entries/001', (response) =>
      response.writeHead(200).end(Buffer.from(bundle, 'latin1')),
    )
    const found = new Set(kinds(await verified((await serve({ instead })).url)).map(([, kind]) => kind))
    expect(found).toEqual(new Set(['broken-link', 'wrong-tile', 'wrong-root']))
  })
})

test('the address of a broker leads to its log, and the token goes to its entries alone', async () => {
  const server = await serve({ token: 'secret' })
  const tokenFile = join(folder, 'token')
  writeFileSync(tokenFile, 'secret')
  const source = await openSource(await parseSource(new URL('/', server.url).href), { tokenFile })
  try {
    expect(source.description).toBe(server.url)
    const outcome = await verify(source, { vkey: parseVkey(VKEY), statePath: 'none' })
    expect(kinds(outcome)).toEqual([])
  } finally {
    await source.close()
  }
})

test('an address with a path, or without a log below it, is not looked for elsewhere', async () => {
  const server = await serve({ instead: (_, response) => response.writeHead(404).end() !== undefined })
  for (const path of ['/', '/elsewhere'])
    await expect(openSource(await parseSource(new URL(path, server.url).href))).rejects.toThrow(
      'there is no checkpoint',
    )
  expect(server.asked.map(({ path }) => path)).toEqual(['checkpoint'])
})

test('no server there is an error', async () => {
  const port = await freePort()
  await expect(verified(`http://127.0.0.1:${port}/ledger`)).rejects.toThrow(
    'no answer: ECONNREFUSED (5 attempts)',
  )
})

test.each([
  ['https://user:secret@broker.example.com/ledger', 'must not hold a user'],
  ['https://broker.example.com/ledger?token=secret', 'no query'],
  ['https://broker.example.com/ledger#x', 'no fragment'],
  ['https://', 'no URL'],
])('an address that should not be used is refused without a word of it: %s', (address, message) => {
  const refusal = (): HttpFiles => new HttpFiles(address)
  expect(refusal).toThrow(message)
  expect(refusal).not.toThrow('secret')
})
