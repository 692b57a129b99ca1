import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { readPolicyFolder } from './policy-folder.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'policy-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const write = (name: string, content: string | Buffer) => writeFileSync(join(folder, name), content)

test('files that end in .cedar, in order of name; the hash is of names and texts', () => {
  write('b.cedar', 'b')
  write('a.cedar', 'a')
  write('.hidden.cedar', 'x')
  write('readme.md', 'x')
  const read = readPolicyFolder(folder)
  expect(Object.entries(read.files)).toEqual([
    ['a.cedar', 'a'],
    ['b.cedar', 'b'],
  ])
  expect(read.ignored).toEqual(['readme.md'])
  // printf '{"a.cedar":"a","b.cedar":"b"}' | sha256sum
  expect(read.sha256).toBe('36771c01907213b752b588bfe6d701108c07fcdb4141be89218ef8ed1ae2424d')
})

test('a folder behind links, as Kubernetes mounts one', () => {
  mkdirSync(join(folder, '..data'))
  writeFileSync(join(folder, '..data', 'a.cedar'), 'a')
  symlinkSync(join('..data', 'a.cedar'), join(folder, 'a.cedar'))
  expect(readPolicyFolder(folder).files).toEqual({ 'a.cedar': 'a' })
})

test.each<[string, () => void, RegExp]>([
  [
    'has a folder for a file',
    () => mkdirSync(join(folder, 'a.cedar')),
    /a.cedar: (it is not a file|cannot be read)/,
  ],
  [
    'has a pipe for a file',
    () => execFileSync('mkfifo', [join(folder, 'a.cedar')]),
    /a.cedar: it is not a file/,
  ],
  [
    'has a link to nowhere',
    () => symlinkSync('/nowhere', join(folder, 'a.cedar')),
    /a.cedar: cannot be read \(ENOENT\)/,
  ],
  ['is no UTF-8', () => write('a.cedar', Buffer.from([0xff])), /a.cedar: it is not UTF-8/],
  [
    'has 10 MB',
    () => write('a.cedar', Buffer.alloc(10 << 20, 32)),
    /a.cedar: the policy is more than 256 KiB/,
  ],
  [
    'has more than it may in two files',
    () => ['a', 'b'].forEach((name) => write(`${name}.cedar`, Buffer.alloc(130 << 10, 32))),
    /b.cedar: the policy is more than 256 KiB/,
  ],
  [
    'has 65 files',
    () => Array.from({ length: 65 }, (_, i) => write(`${i}.cedar`, '')),
    /more than 64 .cedar files/,
  ],
])('a folder that %s is refused', (_, make, problem) => {
  make()
  expect(() => readPolicyFolder(folder)).toThrow(problem)
})

test('a folder that is not there is refused', () => {
  expect(() => readPolicyFolder(join(folder, 'none'))).toThrow(/none: cannot be read \(ENOENT\)/)
})
