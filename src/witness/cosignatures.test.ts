import { expect, test } from '@jest/globals'

import { tlog, unhex } from '../../test/support/tlog-vectors.js'
import { parseSignedCheckpoint, signCheckpoint, type SignedCheckpoint } from '../domain/ledger/checkpoint.js'
import { cosign, cosignatureTime } from '../domain/ledger/cosignature.js'
import { formatVkey, signerFromSeed } from '../domain/ledger/note.js'
import { parsePolicy } from '../domain/ledger/policy.js'
import { Cosignatures } from './cosignatures.js'

const { log, w1, w2 } = tlog.keys
const BOTH = [
  `log ${log.vkey}`,
  `witness w1 ${w1.vkeyCosig}`,
  `witness w2 ${w2.vkeyCosig}`,
  'group both all w1 w2',
  'quorum both',
  '',
].join('\n')
const signer = signerFromSeed(log.name, 'ed25519', unhex(log.seedHex))
const [first, second] = [w1, w2].map(({ name, seedHex }) =>
  signerFromSeed(name, 'cosignature', unhex(seedHex)),
)

const checkpoint = (size: number, byte = size) =>
  parseSignedCheckpoint(
    signCheckpoint({ origin: log.name, size, root: new Uint8Array(32).fill(byte) }, signer),
  )

function add(cosignatures: Cosignatures, to: SignedCheckpoint, by: typeof first, time = 5): void {
  if (!by) throw new Error('no such witness')
  cosignatures.add(to, formatVkey(by.key), { cosignature: cosign(to.note.text, by, time), time })
}
const names = (signed: SignedCheckpoint | undefined) => signed?.note.signatures.map(({ name }) => name)
const times = (signed: SignedCheckpoint | undefined) =>
  signed?.note.signatures.slice(1).map(({ signature }) => cosignatureTime(signature))

test('a checkpoint is witnessed when the quorum is in, with its lines in the order of the policy', () => {
  const cosignatures = new Cosignatures(parsePolicy(BOTH))
  add(cosignatures, checkpoint(7), second)
  expect(cosignatures.enough(checkpoint(7))).toBe(false)
  expect(cosignatures.witnessed()).toBeUndefined()
  add(cosignatures, checkpoint(7), first)
  expect(cosignatures.enough(checkpoint(7))).toBe(true)
  expect(names(cosignatures.witnessed())).toEqual([log.name, w1.name, w2.name])
})

test('cosignatures of two sizes, or of two trees of one size, make no quorum together', () => {
  const cosignatures = new Cosignatures(parsePolicy(BOTH))
  add(cosignatures, checkpoint(7), first)
  add(cosignatures, checkpoint(8), second)
  add(cosignatures, checkpoint(7, 99), second)
  expect(cosignatures.witnessed()).toBeUndefined()
  expect(names(cosignatures.signed(checkpoint(7)))).toEqual([log.name, w1.name])
})

test('the newer of two cosignatures of a witness counts, in whatever order they come', () => {
  const cosignatures = new Cosignatures(parsePolicy(BOTH))
  for (const time of [5, 9, 7]) add(cosignatures, checkpoint(7), first, time)
  expect(times(cosignatures.signed(checkpoint(7)))).toEqual([9])
})

test('what is smaller than the largest witnessed is forgotten, and a late line for it is not kept', () => {
  const cosignatures = new Cosignatures(parsePolicy(BOTH))
  add(cosignatures, checkpoint(5), first)
  for (const by of [first, second]) add(cosignatures, checkpoint(7), by)
  add(cosignatures, checkpoint(5), second)
  expect(cosignatures.witnessed()?.size).toBe(7)
  expect(names(cosignatures.signed(checkpoint(5)))).toEqual([log.name])
})

test('without a quorum only the latest are kept, and always the one that is witnessed', () => {
  const cosignatures = new Cosignatures(parsePolicy(BOTH))
  for (const by of [first, second]) add(cosignatures, checkpoint(1), by)
  for (let size = 2; size <= 40; size++) add(cosignatures, checkpoint(size), first)
  const kept = Array.from({ length: 40 }, (_, i) => i + 1).filter(
    (size) => cosignatures.signed(checkpoint(size)).note.signatures.length > 1,
  )
  expect(kept).toEqual([1, ...Array.from({ length: 15 }, (_, i) => 26 + i)])
})
