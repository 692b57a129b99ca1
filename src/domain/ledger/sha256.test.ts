import { createHash } from 'node:crypto'

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'

import { hex, tlog } from '../../../test/support/tlog-vectors.js'
import * as chosen from '#sha256'
import * as node from './sha256.node.js'
import * as web from './sha256.web.js'

describe.each([
  { file: 'sha256.node', ...node },
  { file: 'sha256.web', ...web },
])('$file', ({ sha256, sha256Hex }) => {
  test('gives the hashes of FIPS 180-2 and of the log vectors', () => {
    expect(sha256Hex(Buffer.from('abc'))).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    )
    expect(sha256Hex(new Uint8Array(0))).toBe(tlog.hashing.emptyRoot)
    expect(sha256Hex(Uint8Array.of(0))).toBe(tlog.hashing.leafOfEmpty)
    expect(sha256Hex(Buffer.from('\0entry-0'))).toBe(tlog.hashing.leaf0)
    expect(sha256Hex(new Uint8Array(1_000_000).fill(0x61))).toBe(
      'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0',
    )
  })

  test('agrees with another implementation, in bytes as in hex', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const expected = createHash('sha256').update(bytes).digest('hex')
        expect([sha256Hex(bytes), hex(sha256(bytes))]).toEqual([expected, expected])
      }),
    )
  })

  test('gives a plain Uint8Array of its own', () => {
    const hash = sha256(new Uint8Array(0))
    hash.slice().fill(0)
    expect(hash.constructor).toBe(Uint8Array)
    expect(hex(hash)).toBe(tlog.hashing.emptyRoot)
    expect(hex(sha256(new Uint8Array(0)))).toBe(tlog.hashing.emptyRoot)
  })
})

test('in Node, #sha256 is the native one', () => {
  expect(chosen.sha256).toBe(node.sha256)
})
