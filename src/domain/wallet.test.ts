import { expect, test } from '@jest/globals'

import { parseWallet } from './wallet.js'

const LOWER = '0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed'

test('every spelling of one address is one wallet', () => {
  for (const text of [
    LOWER,
    '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
    `0x${LOWER.slice(2).toUpperCase()}`,
  ])
    expect(parseWallet(text)).toBe(LOWER)
})

test('a wallet stays as it is when parsed again', () => {
  expect(parseWallet(parseWallet(LOWER))).toBe(LOWER)
})

test.each([
  ['the prefix in upper case', LOWER.replace('0x', '0X')],
  ['no prefix', LOWER.slice(2)],
  ['one digit short', LOWER.slice(0, -1)],
  ['one digit long', `${LOWER}0`],
  ['a letter past f', LOWER.replace('5', 'g')],
  ['full-width digits', LOWER.replace('5', '５')],
  ['a full-width letter', LOWER.replace('a', 'ａ')],
  ['a Cyrillic letter that looks like one of ours', LOWER.replace('a', 'а')],
  ['a mathematical digit', LOWER.replace('5', '𝟓')],
  ['a combining mark', `${LOWER}\u0301`],
  ['a zero-width space', LOWER.replace('5', '5\u200b')],
  ['a space before', ` ${LOWER}`],
  ['a space after', `${LOWER} `],
  ['a newline after', `${LOWER}\n`],
  ['a second line', `${LOWER}\n${LOWER}`],
  ['a NUL after', `${LOWER}\0`],
  ['a wildcard', '0x*'],
  ['nothing', ''],
])('%s is refused', (_what, text) => {
  expect(parseWallet(text)).toBeUndefined()
})

test.each([[undefined], [null], [0], [true], [[LOWER]], [{ wallet: LOWER }], [new String(LOWER)]])(
  'what is no string is refused: %p',
  (value) => {
    expect(parseWallet(value)).toBeUndefined()
  },
)
