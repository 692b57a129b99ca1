import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'

import { mutationsOf } from '../../../test/support/mutations.js'
import { refusal } from '../../../test/support/refusal.js'
import { tlog } from '../../../test/support/tlog-vectors.js'
import { formatVkey, noteKey, parseVkey } from './note.js'
import { formatPolicy, parsePolicy, type Policy, quorumMet } from './policy.js'

const { log, w1, w2 } = tlog.keys

/** Witness i has a key of its own: its first byte is i. */
const witnessVkey = (i: number) =>
  formatVkey(noteKey(`w.example/${i}`, 'cosignature', new Uint8Array(32).fill(i + 1)))
const witness = (i: number, name = `W${i}`) => `witness ${name} ${witnessVkey(i)}\n`
const witnesses = (count: number) => Array.from({ length: count }, (_, i) => witness(i)).join('')

/** Which of these sets of witnesses, written as digits, is a quorum. */
function quorums(policy: Policy, sets: string[]): string[] {
  return sets.filter((set) => quorumMet(policy, new Set([...set].map((digit) => witnessVkey(Number(digit))))))
}

const EXAMPLE =
  `log ${log.vkey} https://${log.name}\n` +
  `witness X1 ${w1.vkeyCosig} https://witness.example/w1\n` +
  `witness X2 ${w2.vkeyCosig}\n` +
  'group X 1 X1 X2\n' +
  'quorum X\n'

describe('reading', () => {
  test('a policy is read and printed back', () => {
    expect(parsePolicy(EXAMPLE)).toEqual({
      logs: [{ key: parseVkey(log.vkey), url: `https://${log.name}` }],
      witnesses: [
        { name: 'X1', key: parseVkey(w1.vkeyCosig), url: 'https://witness.example/w1' },
        { name: 'X2', key: parseVkey(w2.vkeyCosig) },
      ],
      groups: [{ name: 'X', threshold: 1, members: ['X1', 'X2'] }],
      quorum: 'X',
    })
    expect(formatPolicy(parsePolicy(Buffer.from(EXAMPLE)))).toBe(EXAMPLE)
  })

  test('blank lines, comments and white space are the writer’s own', () => {
    const spaced = `# of the test\n\n \t\n${EXAMPLE.replaceAll(' ', ' \t').replaceAll('\n', '  \n\t# é\n')}`
    expect(parsePolicy(spaced)).toEqual(parsePolicy(EXAMPLE))
  })

  test('the shortest policy asks for no witness, and may know no log', () => {
    expect(parsePolicy('quorum none\n')).toEqual({ logs: [], witnesses: [], groups: [], quorum: 'none' })
  })

  test('a URL with Latin-1 letters is read however often one was', () => {
    const text = `log ${log.vkey} https://ü.de\nquorum none\n`
    const read = Array.from({ length: 20_000 }, () => refusal(() => parsePolicy(text)))
    expect(new Set(read)).toEqual(new Set([undefined]))
  })

  test('names are opaque: any case, any script, even that of a keyword', () => {
    const text = `${witness(0, 'ALL')}${witness(1, 'all')}${witness(2, 'K')}${witness(3, '\u212a')}group any all ALL all K \u212a\nquorum any\n`
    expect(formatPolicy(parsePolicy(text))).toBe(text)
  })

  test('32 logs, witnesses and groups are fine', () => {
    const logs = Array.from({ length: 32 }, (_, i) => {
      return `log ${formatVkey(noteKey(`l.example/${i}`, 'ed25519', new Uint8Array(32).fill(i)))}\n`
    })
    const groups = Array.from(
      { length: 32 },
      (_, i) => `group G${i} any ${i === 0 ? '' : `G${i - 1} `}W${i}\n`,
    )
    const text = `${logs.join('')}${witnesses(32)}${groups.join('')}quorum G31\n`
    expect(formatPolicy(parsePolicy(text))).toBe(text)
    expect(quorumMet(parsePolicy(text), new Set([witnessVkey(0)]))).toBe(true)
  })

  const W = witnesses(3)
  test.each([
    ['nothing', '', 'truncated'],
    ['no quorum', W, 'truncated'],
    ['no last line end', 'quorum none', 'truncated'],
    ['two quorums', 'quorum none\nquorum none\n', 'duplicate'],
    ['an unknown keyword', 'quorums none\n', 'bad-line'],
    ['a keyword in capitals', 'QUORUM none\n', 'bad-line'],
    ['a comment behind a line', 'quorum none # nobody\n', 'bad-line'],
    ['a quorum without a name', 'quorum\n', 'bad-line'],
    ['an undefined quorum', 'quorum W0\n', 'unknown-name'],
    ['a quorum that is defined later', `quorum W0\n${W}`, 'unknown-name'],
    ['a log without a key', 'log\nquorum none\n', 'bad-line'],
    ['a log with two URLs', `log ${log.vkey} https://a.example https://b.example\nquorum none\n`, 'bad-line'],
    ['a log with a witness key', `log ${w1.vkeyCosig}\nquorum none\n`, 'bad-key'],
    ['a log with a forged key ID', `log ${log.vkey.replace('4ca2', '4ca3')}\nquorum none\n`, 'bad-key'],
    ['the same log twice', `log ${log.vkey}\nlog ${log.vkey}\nquorum none\n`, 'duplicate'],
    ['a URL without scheme', `log ${log.vkey} broker.example\nquorum none\n`, 'bad-line'],
    ['a file URL', `log ${log.vkey} file:///etc/passwd\nquorum none\n`, 'bad-line'],
    ['a witness without a key', 'witness W0\nquorum none\n', 'bad-line'],
    ['a witness with a log key', `witness W0 ${w1.vkeySameKeyType1}\nquorum none\n`, 'bad-key'],
    ['a witness of a reserved name', `${witness(0, 'none')}quorum none\n`, 'duplicate'],
    ['a witness name twice', `${witness(0)}${witness(1, 'W0')}quorum none\n`, 'duplicate'],
    ['the same witness under two names', `${witness(0)}${witness(0, 'W1')}quorum none\n`, 'duplicate'],
    ['a group without members', `${W}group G all\nquorum G\n`, 'bad-line'],
    ['a group of a taken name', `${W}group W0 all W1\nquorum W0\n`, 'duplicate'],
    ['a group of an undefined name', `${W}group G all W0 W9\nquorum G\n`, 'unknown-name'],
    ['a group of itself', `${W}group G all W0 G\nquorum G\n`, 'unknown-name'],
    ['a group of none', `${W}group G all W0 none\nquorum G\n`, 'unknown-name'],
    ['a member twice in a group', `${W}group G 2 W0 W0\nquorum G\n`, 'duplicate'],
    ['a member of two groups', `${W}group G any W0\ngroup H any W0\nquorum H\n`, 'duplicate'],
    ['a threshold of 0', `${W}group G 0 W0\nquorum G\n`, 'bad-number'],
    ['a threshold beyond the members', `${W}group G 3 W0 W1\nquorum G\n`, 'bad-number'],
    ['a threshold with a leading zero', `${W}group G 01 W0\nquorum G\n`, 'bad-number'],
    ['a threshold in words', `${W}group G most W0\nquorum G\n`, 'bad-number'],
    ['a vkey without its padding', `log ${log.vkey.replace(/.$/, '')}\nquorum none\n`, 'bad-base64'],
    ['a vkey in URL base64', `log ${log.vkey.replaceAll('/', '_')}\nquorum none\n`, 'bad-base64'],
    ['a negative threshold', `${W}group G -1 W0\nquorum G\n`, 'bad-number'],
    ['a quorum with two names', `${W}quorum W0 W1\n`, 'bad-line'],
    [
      'a witness with a third item',
      `witness W0 ${w1.vkeyCosig} https://a.example x\nquorum none\n`,
      'bad-line',
    ],
    ['CRLF', EXAMPLE.replaceAll('\n', '\r\n'), 'not-text'],
    ['a vertical tab', 'quorum\u000bnone\n', 'not-text'],
    ['DEL', '# \u007f\nquorum none\n', 'not-text'],
    ['a no-break space', 'quorum\u00a0none\n', 'bad-line'],
    ['invalid UTF-8', Uint8Array.of(0x23, 0xff, 0x0a), 'not-text'],
    ['65 kB of comments', `${'#\n'.repeat(33_000)}quorum none\n`, 'too-large'],
  ])('a policy with %s is refused', (_, text, code) => {
    expect(refusal(() => parsePolicy(text))).toBe(code)
  })

  test('an error names the line', () => {
    expect(() => parsePolicy(`# one\n${W}group G 9 W0\n`)).toThrow('policy line 5: the threshold')
    expect(() => parsePolicy(`\nlog ${log.vkey}x\n`)).toThrow('policy line 2, vkey: padded base64')
  })

  test('what is read prints to a text that reads the same, and prints back to itself', () => {
    fc.assert(
      fc.property(mutationsOf(EXAMPLE), (text) => {
        if (refusal(() => parsePolicy(text)) !== undefined) return
        const printed = formatPolicy(parsePolicy(text))
        expect(parsePolicy(printed)).toEqual(parsePolicy(text))
        expect(formatPolicy(parsePolicy(printed))).toBe(printed)
      }),
      { numRuns: 1000 },
    )
  })
})

describe('the quorum', () => {
  const sets = ['', '0', '1', '2', '01', '02', '12', '012']

  test('none is always met, and a single witness by itself', () => {
    expect(quorums(parsePolicy(`${witnesses(3)}quorum none\n`), sets)).toEqual(sets)
    expect(quorums(parsePolicy(`${witnesses(3)}quorum W1\n`), sets)).toEqual(['1', '01', '12', '012'])
  })

  test('all, any and k count members', () => {
    const of = (threshold: string) => parsePolicy(`${witnesses(3)}group G ${threshold} W0 W1 W2\nquorum G\n`)
    expect(quorums(of('all'), sets)).toEqual(['012'])
    expect(quorums(of('any'), sets)).toEqual(sets.slice(1))
    expect(quorums(of('2'), sets)).toEqual(['01', '02', '12', '012'])
  })

  test('groups of groups: the example of the specification', () => {
    const policy = parsePolicy(
      `${witnesses(6)}group X 2 W0 W1 W2\ngroup Y any W3 W4 W5\ngroup X-and-Y all X Y\nquorum X-and-Y\n`,
    )
    expect(quorums(policy, ['012', '345', '03', '013', '125', '0345', '012345'])).toEqual([
      '013',
      '125',
      '012345',
    ])
  })

  test('a key that is no witness of the policy counts for nothing', () => {
    const policy = parsePolicy(`${witnesses(2)}group G any W0 W1\nquorum G\n`)
    expect(quorumMet(policy, new Set([witnessVkey(2), log.vkey]))).toBe(false)
  })

  test('a threshold is met exactly when that many witnesses cosigned', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.uniqueArray(fc.nat(7)), (threshold, cosigned) => {
        const names = Array.from({ length: 8 }, (_, i) => `W${i}`).join(' ')
        const policy = parsePolicy(`${witnesses(8)}group G ${threshold} ${names}\nquorum G\n`)
        expect(quorumMet(policy, new Set(cosigned.map(witnessVkey)))).toBe(cosigned.length >= threshold)
      }),
    )
  })
})
