import { describe, expect, test } from '@jest/globals'

import { LedgerBuilder, ROLE_ARN } from '../../../test/support/ledger-builder.js'
import { CutOffs, cutOffsAfter, isCutOffTarget, type Subject } from './cut-offs.js'
import type { CutOffTarget } from './events.js'

const WALLET = `0x${'a'.repeat(40)}`
const PARENT = { wallet: `0x${'b'.repeat(40)}`, tokenSha256: 'b'.repeat(64) }
const MINT_ID = '0193a000-0000-7000-8000-000000000000'
const SUBJECT: Subject = {
  ...{ mintId: MINT_ID, wallet: WALLET, tokenSha256: 'a'.repeat(64), parents: [PARENT], roleArn: ROLE_ARN },
}

test.each<[CutOffTarget, string | undefined]>([
  [{ kind: 'wallet', target: WALLET }, 'wallet'],
  [{ kind: 'wallet', target: PARENT.wallet }, 'wallet'],
  [{ kind: 'session', target: `sha256:${SUBJECT.tokenSha256}` }, 'session'],
  [{ kind: 'session', target: `sha256:${PARENT.tokenSha256}` }, 'session'],
  [{ kind: 'mint', target: MINT_ID }, 'mint'],
  [{ kind: 'role', target: ROLE_ARN }, 'role'],
  [{ kind: 'wallet', target: `0x${'c'.repeat(40)}` }, undefined],
  [{ kind: 'role', target: `${ROLE_ARN}-2` }, undefined],
  [{ kind: 'role', target: '*' }, undefined],
  // Of another kind, the same text is something else.
  [{ kind: 'role', target: WALLET }, undefined],
])('%j covers the subject through its %s', (target, through) => {
  expect(new CutOffs([target]).covering(SUBJECT)).toBe(through)
})

test('entries add and take away, in their order, and leave the set they came after as it was', () => {
  const wallet = { kind: 'wallet', target: WALLET } as const
  const ledger = LedgerBuilder.opened().cutOff(wallet)
  const before = new CutOffs()
  const after = cutOffsAfter(before, ledger.entries)
  expect([before.has(wallet), after.has(wallet)]).toEqual([false, true])

  const [restored] = ledger.restore(wallet).entries.slice(-1)
  expect(cutOffsAfter(after, [restored!]).has(wallet)).toBe(false)
  expect(after.has(wallet)).toBe(true)
  expect(cutOffsAfter(after, LedgerBuilder.opened().oidcMint().entries)).toBe(after)
})

describe('a target', () => {
  test.each([
    [{ kind: 'wallet', target: WALLET }, true],
    [{ kind: 'wallet', target: WALLET.toUpperCase() }, false],
    [{ kind: 'wallet', target: `${WALLET}\n` }, false],
    [{ kind: 'session', target: 'a'.repeat(64) }, false],
    [{ kind: 'session', target: `sha256:${'a'.repeat(64)}` }, true],
    [{ kind: 'role', target: '*' }, false],
    [{ kind: 'toString', target: '' }, false],
  ])('%j: %s', (target, is) => {
    expect(isCutOffTarget(target)).toBe(is)
  })
})
