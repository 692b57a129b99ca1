import { describe, expect, test } from '@jest/globals'
import canonicalizePackage from 'canonicalize'
import fc from 'fast-check'

import { readVectors } from '../../../test/support/tlog-vectors.js'
import { canonicalize, isCanonical, type Json } from './canonical.js'

interface Rfc8785 {
  numbers: [ieee754: string, json: string][]
  notNumbers: string[]
  object: { input: string; canonicalHex: string }
  escapes: [input: string, canonical: string][]
  sorting: { input: string; values: string[] }
  files: { name: string; input: string; canonical: string }[]
}

// The package is CommonJS, and its types say otherwise.
const reference = canonicalizePackage as unknown as (value: Json) => string | undefined

const rfc = readVectors<Rfc8785>('rfc8785.json')
const parse = (text: string) => JSON.parse(text) as Json

function double(ieee754: string): number {
  return Buffer.from(ieee754, 'hex').readDoubleBE()
}

/** Any JSON value, with the members that trip implementations up. */
const json = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.string({ unit: 'binary' }),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.array(fc.tuple(memberName(), tie('value')), { maxLength: 6 }).map(objectOf),
  ),
})).value

function memberName(): fc.Arbitrary<string> {
  const odd = [
    '__proto__',
    'constructor',
    'toJSON',
    'length',
    '',
    '0',
    '1',
    '10',
    '9',
    '01',
    '-1',
    '4294967295',
    '\u0080',
    '\ufb33',
    '😀',
    '\u20ac',
  ]
  return fc.oneof(fc.constantFrom(...odd), fc.string({ unit: 'binary', maxLength: 4 }))
}

/** As JSON.parse makes it: `__proto__` is a member like any other. */
function objectOf(members: [string, Json][]): Json {
  const object = {}
  for (const [key, value] of members) {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
  }
  return object
}

describe('the vectors of RFC 8785', () => {
  test.each(rfc.numbers)('the double %s is %s', (ieee754, text) => {
    expect(canonicalize(double(ieee754))).toBe(text)
    expect(canonicalize(parse(text))).toBe(text)
  })

  test('NaN and the infinities are no JSON', () => {
    for (const ieee754 of [...rfc.notNumbers, 'fff0000000000000']) {
      expect(() => canonicalize(double(ieee754))).toThrow(TypeError)
    }
  })

  test('the object of section 3.2.2 has the bytes of section 3.2.4', () => {
    expect(Buffer.from(canonicalize(parse(rfc.object.input))).toString('hex')).toBe(rfc.object.canonicalHex)
  })

  test.each(rfc.escapes)('the string "%s" is written "%s"', (input, canonical) => {
    expect(canonicalize(parse(`"${input}"`))).toBe(`"${canonical}"`)
    expect(isCanonical(`"${canonical}"`, parse(`"${input}"`))).toBe(true)
    expect(isCanonical(`"${input}"`, parse(`"${input}"`))).toBe(input === canonical)
  })

  test('members are sorted by UTF-16 code units, not by code points and not by alphabet', () => {
    const canonical = canonicalize(parse(rfc.sorting.input))
    expect([...canonical.matchAll(/:"([^"]*)"/g)].map(([, value]) => value)).toEqual(rfc.sorting.values)
  })

  test.each(rfc.files)('the file $name of the reference implementation', ({ input, canonical }) => {
    expect(canonicalize(parse(input))).toBe(canonical)
    expect([isCanonical(canonical, parse(canonical)), isCanonical(input, parse(input))]).toEqual([
      true,
      false,
    ])
  })
})

describe('the canonical form', () => {
  test('is that of another implementation, for any value', () => {
    fc.assert(
      fc.property(json, (value) => expect(canonicalize(value)).toBe(reference(value))),
      { numRuns: 1000 },
    )
  })

  test('is a fixed point, and loses nothing', () => {
    fc.assert(
      fc.property(json, (value) => {
        const text = canonicalize(value)
        expect(canonicalize(parse(text))).toBe(text)
        expect(parse(text)).toEqual(parse(JSON.stringify(value)))
      }),
    )
  })

  test('does not exist for a lone surrogate, in a string or in a name', () => {
    for (const value of ['\ud800', 'a\udfff', '\udc00\ud800', ['\ud800'], { a: '\ud800' }, { '\ud800': 1 }]) {
      expect(() => canonicalize(value)).toThrow(TypeError)
    }
  })

  test('does not exist for what JSON cannot say', () => {
    const sparse: unknown[] = []
    sparse[1] = 1
    for (const value of [undefined, () => 1, Symbol('s'), 1n, [undefined], { a: undefined }, sparse]) {
      expect(() => canonicalize(value as Json)).toThrow(TypeError)
    }
  })
})

describe('isCanonical', () => {
  const agrees = (text: string) => {
    const value = parse(text)
    let expected = false
    try {
      expected = canonicalize(value) === text
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
    }
    expect([text, isCanonical(text, value)]).toEqual([text, expected])
    return expected
  }

  test.each([
    ['{"10":1,"9":2}', true],
    ['{"9":2,"10":1}', false],
    ['{"1":1,"a":{"10":1,"9":1}}', true],
    ['[{"2":1,"10":1}]', false],
    ['{"!":1,"1":2}', true],
    ['{"1":2,"!":1}', false],
    ['{"-1":1,"0":2}', true],
    ['{"__proto__":1,"a":2}', true],
    ['{"a":2,"__proto__":1}', false],
    ['{"__proto__":{"b":1,"a":2}}', false],
    ['{"__proto__":{"a":1,"b":2}}', true],
    ['{"a":1,"a":1}', false],
    ['{"a":1,"a":2}', false],
    ['{"__proto__":1,"__proto__":1}', false],
    ['"\\ud800"', false],
    ['"\\uD800"', false],
    ['"\ud800"', false],
    ['{"\\ud800":1}', false],
    ['["\\ud83d\\ude00"]', false],
    ['["😀"]', true],
    ['"\\\\ud800"', true],
    ['"\\u001f"', true],
    ['"\\u001F"', false],
    ['"\\/"', false],
    ['-0', false],
    ['1.0', false],
    ['1e21', false],
    ['1e+21', true],
    ['10000000000000000000000', false],
    ['0.1e1', false],
    [' 1', false],
    ['{ }', false],
    ['{"a":1}\n', false],
    ['{"€":1,"😀":2,"\ufb33":3}', true],
    ['{"€":1,"\ufb33":3,"😀":2}', false],
    ['{"toJSON":1}', true],
  ])('of %s is %s', (text, expected) => {
    expect(agrees(text)).toBe(expected)
  })

  test('says what canonicalize says, for any text of any value', () => {
    const spaces = fc.constantFrom(undefined, 1)
    fc.assert(
      fc.property(json, spaces, (value, space) => {
        agrees(JSON.stringify(value, null, space))
        expect(agrees(canonicalize(value))).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })

  test('says what canonicalize says when one character of a canonical text is another', () => {
    fc.assert(
      fc.property(
        json,
        fc.nat(),
        fc.constantFrom('1', '0', '"', '\\', ' ', 'a', ',', '\ud800'),
        (value, n, put) => {
          const text = canonicalize(value)
          const at = n % text.length
          const changed = text.slice(0, at) + put + text.slice(at + 1)
          let isJson = true
          try {
            JSON.parse(changed)
          } catch {
            isJson = false
          }
          if (isJson) agrees(changed)
        },
      ),
      { numRuns: 1000 },
    )
  })
})
