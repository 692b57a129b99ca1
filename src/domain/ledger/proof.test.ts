import { createHash } from 'node:crypto'

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'

import { GrownTree } from '../../../test/support/grown-tree.js'
import { mutationsOf } from '../../../test/support/mutations.js'
import { refusal } from '../../../test/support/refusal.js'
import { testEntry, tlog, unhex } from '../../../test/support/tlog-vectors.js'
import { parseSignedCheckpoint, signCheckpoint } from './checkpoint.js'
import { cosign } from './cosignature.js'
import { inclusionProof } from './merkle.js'
import { formatNote, signerFromSeed } from './note.js'
import { parsePolicy } from './policy.js'
import { formatProof, parseProof, type TlogProof, verifyProof } from './proof.js'

const { log, w1, w2 } = tlog.keys
const { index3, index0Extra } = tlog.tlogProof

const WITNESSES = `witness W1 ${w1.vkeyCosig}\nwitness W2 ${w2.vkeyCosig}\n`
const policyOf = (quorum: string) =>
  parsePolicy(`log ${log.vkey}\n${WITNESSES}group both all W1 W2\nquorum ${quorum}\n`)
const [both, none] = [policyOf('both'), policyOf('none')]

describe('reading', () => {
  test('the vectors are the published files, read and printed back', () => {
    const sums = [index3, index0Extra].map((text) => createHash('sha256').update(text).digest('hex'))
    expect(sums).toEqual([
      '5746e83320c3699787d5895db5810c3a83f528f0e669c2a096d5de187c03a0a0',
      '9d3670abaad8f609d3d9f64f0a7d319dec2886591a5511d795ad945bbbb1cec3',
    ])
    for (const text of [index3, index0Extra]) {
      expect(formatProof(parseProof(text))).toBe(text)
      expect(formatProof(parseProof(Buffer.from(text)))).toBe(text)
    }
    expect(parseProof(index0Extra)).toMatchObject({ index: 0, extra: Buffer.from('jti=abc'), path: [] })
  })

  test.each([
    ['nothing', '', 'truncated'],
    ['no checkpoint', index3.slice(0, index3.indexOf('\n\n') + 1), 'truncated'],
    ['no last line end', index3.slice(0, -1), 'truncated'],
    ['another version', index3.replace('@v1', '@v2'), 'bad-line'],
    ['no header', index3.slice(index3.indexOf('\n') + 1), 'bad-line'],
    ['no index', index3.replace('index 3\n', ''), 'bad-line'],
    ['two indexes', index3.replace('index 3\n', 'index 3\nindex 3\n'), 'bad-base64'],
    ['extra behind the index', index3.replace('index 3\n', 'index 3\nextra AAAA\n'), 'bad-base64'],
    ['two extra lines', index0Extra.replace('index', 'extra AAAA\nindex'), 'bad-line'],
    ['empty extra', index3.replace('index', 'extra \nindex'), 'bad-line'],
    [
      'extra without padding',
      index0Extra.replace('YWJjPWFiYw==', 'x').replace('==\nindex', '\nindex'),
      'bad-base64',
    ],
    ['a leading zero', index3.replace('index 3', 'index 03'), 'bad-number'],
    ['a negative index', index3.replace('index 3', 'index -3'), 'bad-number'],
    ['an index beyond 2^53', index3.replace('index 3', 'index 9007199254740992'), 'bad-number'],
    ['an unknown line', index3.replace('index 3', 'leaf x\nindex 3'), 'bad-line'],
    ['a short hash', index3.replace('BJ19zbVr', 'BJ19'), 'bad-base64'],
    ['a hash with trailing bits', index3.replace('8Kg=', '8Kh='), 'bad-base64'],
    ['64 hashes', index3.replace(/(?<=index 3\n)(.*\n)/, '$1'.repeat(62)), 'too-large'],
    ['CRLF', index3.replaceAll('\n', '\r\n'), 'not-text'],
    ['an extension line', index3.replace('WF0=\n', 'WF0=\nmore\n'), 'extension-line'],
    ['the same signature twice', index3 + index3.slice(index3.lastIndexOf('—')), 'duplicate'],
    ['a plus before the index', index3.replace('index 3', 'index +3'), 'bad-number'],
    ['extra in URL base64', index0Extra.replace(/^extra .*$/m, 'extra _-_-'), 'bad-base64'],
    ['200 kB', index3.replace('index', `extra ${'AAAA'.repeat(50_000)}\nindex`), 'too-large'],
  ])('a proof with %s is refused', (_, text, code) => {
    expect(refusal(() => parseProof(text))).toBe(code)
  })

  test('every proof that is cut off is refused, but where that drops a whole signature', () => {
    for (let length = 0; length < index3.length; length++) {
      const cut = index3.slice(0, length)
      const whole = cut.endsWith('\n') && cut.includes('—')
      expect([length, refusal(() => parseProof(cut)) === undefined]).toEqual([length, whole])
    }
  })

  test('what is read prints back', () => {
    fc.assert(
      fc.property(fc.oneof(mutationsOf(index3), mutationsOf(index0Extra)), (text) => {
        if (refusal(() => parseProof(text)) === undefined) expect(formatProof(parseProof(text))).toBe(text)
      }),
      { numRuns: 3000 },
    )
  })
})

describe('verifying', () => {
  const proof = parseProof(index3)

  test('the vectors hold, with the quorum they have', () => {
    const verdict = verifyProof(testEntry(3), proof, both)
    expect(verdict).toMatchObject({ ok: true, log: { name: log.name } })
    expect(verdict.ok && verdict.cosignatures.map(({ witness, time }) => [witness.name, time])).toEqual([
      [w1.name, 1_700_000_000],
      [w2.name, 1_700_000_001],
    ])
    expect(verifyProof(testEntry(0), parseProof(index0Extra), none).ok).toBe(true)
  })

  test('the first thing that is wrong is the answer, in the order of the checks', () => {
    const answer = (proof: TlogProof, policy = both, entry = testEntry(3)) => {
      const verdict = verifyProof(entry, proof, policy)
      return verdict.ok ? 'fine' : verdict.problem
    }
    const unsigned = parseSignedCheckpoint(
      formatNote({ ...proof.checkpoint.note, signatures: proof.checkpoint.note.signatures.slice(1) }),
    )
    const uncosigned = parseSignedCheckpoint(tlog.checkpoints['7'] as string)
    const wrongPlace = { ...proof, index: 4 }
    expect(answer(wrongPlace, parsePolicy(`log ${w1.vkeySameKeyType1}\nquorum none\n`))).toBe(
      'unknown-origin',
    )
    expect(answer({ ...wrongPlace, checkpoint: unsigned })).toBe('not-signed-by-log')
    expect(answer(parseProof(index3.replace('\n7\n', '\n8\n')))).toBe('bad-signature')
    expect(answer({ ...wrongPlace, checkpoint: uncosigned })).toBe('quorum-missing')
    expect(answer({ ...proof, checkpoint: uncosigned }, none)).toBe('fine')
    expect(answer(wrongPlace)).toBe('not-included')
    expect(answer({ ...proof, index: 7 })).toBe('not-included')
    expect(answer({ ...proof, path: proof.path.slice(1) })).toBe('not-included')
    expect(answer(proof, both, testEntry(4))).toBe('not-included')
    expect(answer(proof)).toBe('fine')
  })

  test('a policy that knows no log believes nothing', () => {
    expect(verifyProof(testEntry(3), proof, parsePolicy('quorum none\n'))).toEqual({
      ok: false,
      problem: 'unknown-origin',
    })
  })

  test('extra data proves nothing and changes nothing', () => {
    expect(verifyProof(testEntry(3), { ...proof, extra: Uint8Array.of(1) }, both).ok).toBe(true)
  })

  test('no changed file holds with what was signed changed', () => {
    fc.assert(
      fc.property(mutationsOf(index3), (text) => {
        if (refusal(() => parseProof(text)) !== undefined) return
        const { index, checkpoint } = parseProof(text)
        if (!verifyProof(testEntry(3), parseProof(text), policyOf('none')).ok) return
        expect([index, checkpoint.note.text]).toEqual([3, proof.checkpoint.note.text])
      }),
      { numRuns: 1000 },
    )
  })

  test('what we make holds: any entry of any tree, signed and cosigned', () => {
    const grown = new GrownTree(Array.from({ length: 20 }, (_, i) => testEntry(i)))
    const signer = signerFromSeed(log.name, 'ed25519', unhex(log.seedHex))
    const cosigner = signerFromSeed(w1.name, 'cosignature', unhex(w1.seedHex))
    fc.assert(
      fc.property(fc.nat(19), fc.nat(19), (a, b) => {
        const [index, size] = [Math.min(a, b), Math.max(a, b) + 1]
        const { note } = parseSignedCheckpoint(
          signCheckpoint({ origin: log.name, ...grown.head(size) }, signer),
        )
        const signed = formatNote({
          ...note,
          signatures: [...note.signatures, cosign(note.text, cosigner, 1)],
        })
        const proof = {
          index,
          path: inclusionProof(index, size, grown.read),
          checkpoint: parseSignedCheckpoint(signed),
        }
        expect(parseProof(formatProof(proof))).toEqual(proof)
        expect(verifyProof(testEntry(index), parseProof(formatProof(proof)), policyOf('W1')).ok).toBe(true)
      }),
      { numRuns: 30 },
    )
  })
})
