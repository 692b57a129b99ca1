import { createHash } from 'node:crypto'

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'

import { hex } from '../../../test/support/tlog-vectors.js'
import { canonicalize, type Json } from './canonical.js'
import {
  chain,
  EntryError,
  type EntryProblem,
  GENESIS,
  leafHash,
  MAX_ENTRY_BYTES,
  parseEntry,
  type Sealed,
} from './entry.js'
import type { LedgerEvent } from './events.js'
import { hashLeaf } from './merkle.js'

const at = (ms: number) => new Date(Date.UTC(2026, 10, 20, 12) + ms)
const opened: LedgerEvent = {
  type: 'LedgerOpened',
  data: {
    origin: 'broker.example/ledger',
    vkey: 'broker.example/ledger+4ca2abf5+AQ==',
    software: 'agentkeys-broker/0.1.0',
  },
}
const validated = (agent: string): LedgerEvent => ({
  type: 'SessionValidated',
  data: { mintId: 'm', wallet: '0x0', tokenSha256: '00', backend: 'http://b', agent },
})
const first = chain(undefined, opened, at(0))

function problemOf(make: () => unknown): EntryProblem | undefined {
  try {
    make()
    return undefined
  } catch (error) {
    if (error instanceof EntryError) return error.problem
    throw error
  }
}

describe('chaining', () => {
  test('the first entry has index 0, the genesis hash, and its one canonical text', () => {
    expect(first.text).toBe(
      '{"data":{"origin":"broker.example/ledger","software":"agentkeys-broker/0.1.0",' +
        '"vkey":"broker.example/ledger+4ca2abf5+AQ=="},"index":0,' +
        `"prev":"${GENESIS}","time":"2026-11-20T12:00:00.000Z","type":"LedgerOpened","v":1}`,
    )
    expect(first.leafHash).toBe(createHash('sha256').update(`\0${first.text}`).digest('hex'))
  })

  test('the link is the Merkle leaf', () => {
    const second = chain(first, validated('a'), at(1))
    expect(second.entry).toMatchObject({ index: 1, prev: first.leafHash, time: '2026-11-20T12:00:00.001Z' })
    expect(second.leafHash).toBe(hex(hashLeaf(Buffer.from(second.text))))
  })

  test('time never runs backwards, whatever the clock does', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -100_000, max: 100_000 }), { minLength: 2 }), (clock) => {
        const entries = clock.reduce<Sealed[]>(
          (all, ms) => [...all, chain(all.at(-1), validated('a'), at(ms))],
          [],
        )
        const times = entries.map(({ entry }) => Date.parse(entry.time) - at(0).getTime())
        expect(times).toEqual(clock.map((_, i) => Math.max(...clock.slice(0, i + 1))))
      }),
    )
  })

  test('what is chained reads back as it was', () => {
    const agent = fc.string({ unit: 'grapheme' })
    fc.assert(
      fc.property(agent, fc.nat(1e12), (agent, ms) => {
        const sealed = chain(first, validated(agent), at(ms))
        expect(parseEntry(sealed.text)).toEqual(sealed)
      }),
    )
  })

  test('an event that has no entry is refused as one, and no value of it is in the error', () => {
    const sparse: unknown[] = []
    sparse[1] = 'x'
    const data = (agent: unknown) => ({ ...opened, data: { ...opened.data, agent } }) as LedgerEvent
    const cyclic: Record<string, unknown> = {}
    cyclic['self'] = cyclic
    const bad = [
      undefined,
      NaN,
      Infinity,
      1.5,
      -0,
      2 ** 53,
      1n,
      () => 1,
      Symbol('s'),
      'a\ud800',
      { '\udc00': 1 },
      [undefined],
      sparse,
      cyclic,
    ]
    for (const value of bad) expect(problemOf(() => chain(first, data(value), at(1)))).toBe('malformed')
    expect(() => chain(first, data('secret\ud800'), at(1))).toThrow(/^agent has a lone surrogate$/)
  })

  test('an entry has 65,535 bytes and no more, counted in UTF-8', () => {
    const empty = Buffer.byteLength(chain(first, validated(''), at(1)).text)
    const room = MAX_ENTRY_BYTES - empty
    const longest = chain(first, validated('a'.repeat(room)), at(1))
    expect(Buffer.byteLength(longest.text)).toBe(65_535)
    expect(parseEntry(longest.text)).toEqual(longest)
    for (const agent of [
      'a'.repeat(room + 1),
      'a'.repeat(room - 1) + 'é',
      '😀'.repeat(room / 2),
      'a'.repeat(1_000_000),
    ]) {
      expect(problemOf(() => chain(first, validated(agent), at(1)))).toBe('too-large')
    }
    const wide = chain(first, validated('a'.repeat(room % 4) + '😀'.repeat(Math.floor(room / 4))), at(1))
    expect(wide.leafHash).toBe(hex(hashLeaf(Buffer.from(wide.text))))
    expect(problemOf(() => leafHash('a'.repeat(65_536)))).toBe('too-large')
    expect(leafHash('a'.repeat(65_535))).toBe(hex(hashLeaf(Buffer.from('a'.repeat(65_535)))))
  })
})

describe('reading', () => {
  const value = JSON.parse(first.text) as Record<string, Json>
  /** The canonical text of the first entry with these members. */
  const withMembers = (members: Record<string, Json>) => canonicalize({ ...value, ...members })
  const without = (member: string) =>
    canonicalize(Object.fromEntries(Object.entries(value).filter(([key]) => key !== member)))
  const nested = (depth: number) =>
    withMembers({ data: JSON.parse('{"a":'.repeat(depth) + '1' + '}'.repeat(depth)) as Json })

  test.each([
    ['nothing', ''],
    ['half an entry', first.text.slice(0, -1)],
    ['two entries', first.text + first.text],
    ['a BOM', `\ufeff${first.text}`],
    ['an array', '[1,2,3,4,5,6]'],
    ['a string', '"entry"'],
    ['null', 'null'],
    ...['data', 'index', 'prev', 'time', 'type', 'v'].map((member) => [`no ${member}`, without(member)]),
    ['a seventh member', withMembers({ by: 'node' })],
    ['__proto__ beside the others', first.text.replace('{"data"', '{"__proto__":{},"data"')],
    [
      '__proto__ instead of v',
      first.text.replace(',"v":1', '').replace('{"data"', '{"__proto__":{"v":1},"data"'),
    ],
    ['another version', withMembers({ v: 2 })],
    ['a version in quotes', withMembers({ v: '1' })],
    ['a negative index', withMembers({ index: -1 })],
    ['a broken index', withMembers({ index: 0.5 })],
    ['an index beyond 2^53', withMembers({ index: 2 ** 53 })],
    ['an index in quotes', withMembers({ index: '0' })],
    ['an upper-case prev', withMembers({ prev: 'A'.repeat(64) })],
    ['a short prev', withMembers({ prev: '0'.repeat(63) })],
    ['a prev with a line end', withMembers({ prev: `${GENESIS}\n` })],
    ['a time without milliseconds', withMembers({ time: '2026-11-20T12:00:00Z' })],
    ['a time with an offset', withMembers({ time: '2026-11-20T12:00:00.000+00:00' })],
    ['the 30th of February', withMembers({ time: '2026-02-30T12:00:00.000Z' })],
    ['hour 24', withMembers({ time: '2026-11-20T24:00:00.000Z' })],
    ['a leap second', withMembers({ time: '2026-12-31T23:59:60.000Z' })],
    ['a time with a line end', withMembers({ time: '2026-11-20T12:00:00.000Z\n' })],
    ['an empty type', withMembers({ type: '' })],
    ['a type that is a number', withMembers({ type: 1 })],
    ['data that is an array', withMembers({ data: [] })],
    ['data that is null', withMembers({ data: null })],
    ['data that is a string', withMembers({ data: 'x' })],
    ['a fraction in data', withMembers({ data: { a: { b: [1, 1.5] } } })],
    ['a number in data beyond 2^53', withMembers({ data: { a: 2 ** 53 } })],
    ['minus zero in data', first.text.replace('"origin":"broker.example/ledger"', '"a":-0')],
    ['a lone surrogate in data', first.text.replace('broker.example/ledger"', '\\ud800"')],
    ['a lone surrogate in a name', first.text.replace('"origin"', '"\\udc00"')],
    ['data nested 33 deep', nested(33)],
    [
      'a depth bomb',
      withMembers({ data: 0 }).replace('"data":0', `"data":{"a":${'['.repeat(30_000)}${']'.repeat(30_000)}}`),
    ],
  ] as [string, string][])('%s is malformed', (_, text) => {
    expect(problemOf(() => parseEntry(text))).toBe('malformed')
  })

  test.each([
    ['white space', first.text.replace(':', ': ')],
    ['a line end behind it', `${first.text}\n`],
    ['members out of order', first.text.replace(/^\{(.*),"v":1\}$/, '{"v":1,$1}')],
    ['data out of order', withMembers({ data: { a: 1, b: 2 } }).replace('"a":1,"b":2', '"b":2,"a":1')],
    ['a member of data twice', withMembers({ data: { a: 1 } }).replace('"a":1', '"a":1,"a":1')],
    ['a member twice', first.text.replace(',"v":1', ',"v":1,"v":1')],
    ['an escape that is not needed', first.text.replace('LedgerOpened', '\\u004cedgerOpened')],
    ['an index with an exponent', first.text.replace('"index":0', '"index":0e0')],
    ['a version with a fraction', first.text.replace('"v":1', '"v":1.0')],
    [
      'integer-like names in numeric order',
      withMembers({ data: { 10: 1, 9: 2 } }).replace('"10":1,"9":2', '"9":2,"10":1'),
    ],
    ['a lone surrogate in its type', first.text.replace('LedgerOpened', '\\ud800')],
  ])('%s is not canonical', (_, text) => {
    expect(text).not.toBe(first.text)
    expect(problemOf(() => parseEntry(text))).toBe('not-canonical')
  })

  test('what is too long is refused before it is read', () => {
    expect(problemOf(() => parseEntry('['.repeat(65_536)))).toBe('too-large')
    expect(problemOf(() => parseEntry(withMembers({ data: { a: 'é'.repeat(40_000) } })))).toBe('too-large')
  })

  test('any type, any members of data and 32 levels are read: the format does not know the events', () => {
    const text = withMembers({
      type: 'SomethingNew',
      data: { 10: [null, true, 'x', -1], 9: {}, ['__proto__']: 1 },
    })
    expect(parseEntry(text).text).toBe(text)
    expect(parseEntry(nested(32)).text).toBe(nested(32))
  })

  test('an error does not repeat what was read, which might be made for a terminal', () => {
    const escape = '\u001b]0;owned\u0007'
    for (const text of [
      escape,
      withMembers({ data: { [escape]: 1.5 } }),
      withMembers({ data: { [`${escape}\u009b`]: 1.5 } }),
    ]) {
      expect(() => parseEntry(text)).toThrow(/^[ -~]*$/)
      expect(() => parseEntry(text)).not.toThrow(/owned/)
    }
  })

  test('every text is refused or is the one text of its entry', () => {
    fc.assert(
      fc.property(fc.nat(first.text.length - 1), fc.string({ maxLength: 2 }), fc.nat(2), (i, put, cut) => {
        const text = first.text.slice(0, i) + put + first.text.slice(i + cut)
        if (problemOf(() => parseEntry(text)) !== undefined) return
        expect(canonicalize(parseEntry(text).entry as unknown as Json)).toBe(text)
      }),
      { numRuns: 2000 },
    )
  })
})
