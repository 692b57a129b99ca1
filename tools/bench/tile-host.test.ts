import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from '@jest/globals'

import { Child } from './child.js'
import { sizeIn } from './proofs.js'
import type { HostOrder, Hosting } from './tile-host.js'

const folder = mkdtempSync(join(tmpdir(), 'tile-host-'))
const host = Child.start<HostOrder, Hosting>('./tile-host.js')
let url = ''

beforeAll(async () => {
  mkdirSync(join(folder, 'tile/0/x001'), { recursive: true })
  writeFileSync(join(folder, 'checkpoint'), 'example.com/ledger\n4711\nAAAA\n')
  writeFileSync(join(folder, 'tile/0/x001/234'), Buffer.alloc(100_000, 0xfe))
  url = (await host.ask({ folder })).url
})

afterAll(async () => {
  await host.end()
  rmSync(folder, { recursive: true })
})

test('a file is served as it lies there', async () => {
  const response = await fetch(`${url}/tile/0/x001/234`)
  expect(Buffer.from(await response.arrayBuffer())).toEqual(Buffer.alloc(100_000, 0xfe))
  expect(sizeIn(await (await fetch(`${url}/checkpoint`)).text())).toBe(4711)
})

test('what is not there, or no file, is not served, and the connection goes on', async () => {
  for (const path of ['/tile/0/000', '/tile/0', '/', '/%2e%2e/x'])
    expect((await fetch(url + path)).status).toBe(404)
  expect((await fetch(`${url}/checkpoint`)).status).toBe(200)
})

test('what is no checkpoint has no size', () => {
  expect(() => sizeIn('{"error":"x"}')).toThrow('no checkpoint')
})
