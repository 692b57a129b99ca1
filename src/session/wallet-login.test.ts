import { expect, test } from '@jest/globals'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import fc from 'fast-check'
import { privateKeyToAccount } from 'viem/accounts'
import { parseSiweMessage, validateSiweMessage } from 'viem/siwe'

import { signMessage } from '../../tools/agentkeys/wallet-key.js'
import { WalletLogin } from './wallet-login.js'
import { signerOf } from './wallet-signature.js'

const KEY = `0x${'07'.repeat(32)}` as const
const account = privateKeyToAccount(KEY)
const other = privateKeyToAccount(`0x${'08'.repeat(32)}`)
const ORIGIN = new URL('https://broker.example.com')
const START = Date.parse('2026-11-27T12:00:00.000Z')

function login() {
  const clock = { at: START }
  return { clock, login: new WalletLogin(ORIGIN, () => new Date(clock.at)) }
}

function started(address: string = account.address) {
  const world = login()
  const challenge = world.login.start(address, 1)
  if (!challenge) throw new Error('no challenge')
  return { ...world, challenge }
}

const sign = (message: string) => account.signMessage({ message })

test('a challenge that is signed by its wallet gives that wallet, lower-cased', async () => {
  const { login, challenge } = started()
  expect(login.verify(challenge.requestId, await sign(challenge.message))).toBe(account.address.toLowerCase())
})

test('viem reads the message as the EIP-4361 message that was meant', () => {
  const { challenge } = started()
  const parsed = parseSiweMessage(challenge.message)
  expect(parsed).toMatchObject({
    domain: 'broker.example.com',
    uri: 'https://broker.example.com',
    address: account.address,
    chainId: 1,
    version: '1',
    nonce: challenge.nonce,
    resources: ['urn:agentkeys:client:agentkeys'],
  })
  const time = new Date(START + 1)
  expect(validateSiweMessage({ message: parsed, domain: 'broker.example.com', time })).toBe(true)
})

test('our own signing is that of viem', async () => {
  const { challenge } = started()
  expect(signMessage(challenge.message, Buffer.from(KEY.slice(2), 'hex'))).toBe(await sign(challenge.message))
})

test('who signed is found as viem signs, for any text and key', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: 'grapheme' }),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      async (message, key) => {
        fc.pre(secp256k1.utils.isValidSecretKey(key))
        const signer = privateKeyToAccount(`0x${Buffer.from(key).toString('hex')}`)
        expect(signerOf(message, await signer.signMessage({ message }))).toBe(signer.address.toLowerCase())
      },
    ),
    { numRuns: 30 },
  )
})

const swapped = (message: string, from: string, to: string) => message.replace(from, to)

test.each<[string, (message: string) => string]>([
  ['another domain', (message) => swapped(message, 'broker.example.com wants', 'evil.example.com wants')],
  ['another URI', (message) => swapped(message, 'URI: https://broker', 'URI: https://evil')],
  ['another chain', (message) => swapped(message, 'Chain ID: 1', 'Chain ID: 5')],
  ['another wallet', (message) => swapped(message, account.address, other.address)],
  ['another nonce', (message) => message.replace(/Nonce: ./, 'Nonce: x')],
  ['a later expiry', (message) => message.replace(/(Expiration Time: )2026/, '$12027')],
  ['one more line', (message) => `${message}\n- urn:other`],
  ['a line feed at the end', (message) => `${message}\n`],
  ['carriage returns', (message) => message.replaceAll('\n', '\r\n')],
])('a signature over a message with %s is refused', async (_, change) => {
  const { login, challenge } = started()
  const changed = change(challenge.message)
  expect(changed).not.toBe(challenge.message)
  expect(login.verify(challenge.requestId, await sign(changed))).toBeUndefined()
})

test('a challenge is answered once, rightly or wrongly', async () => {
  const { login, challenge } = started()
  const signature = await sign(challenge.message)
  expect(login.verify(challenge.requestId, signature)).toBeDefined()
  expect(login.verify(challenge.requestId, signature)).toBeUndefined()
  const again = started()
  expect(again.login.verify(again.challenge.requestId, '0x')).toBeUndefined()
  expect(again.login.verify(again.challenge.requestId, await sign(again.challenge.message))).toBeUndefined()
})

test.each([
  ['expired', 5 * 60_000],
  ['not yet valid, for a clock that was set back', -1],
])('a challenge that is %s is refused', async (_, later) => {
  const { login, clock, challenge } = started()
  clock.at += later
  expect(login.verify(challenge.requestId, await sign(challenge.message))).toBeUndefined()
})

test("another wallet's signature is refused", async () => {
  const { login, challenge } = started()
  const signature = await other.signMessage({ message: challenge.message })
  expect(login.verify(challenge.requestId, signature)).toBeUndefined()
})

test('a signature has one spelling: high s, v of 0, 1, 29 and other lengths are refused', async () => {
  const { challenge } = started()
  const signature = await sign(challenge.message)
  const { r, s } = secp256k1.Signature.fromBytes(Buffer.from(signature.slice(2, 130), 'hex'))
  const high = (secp256k1.Point.Fn.ORDER - s).toString(16).padStart(64, '0')
  const flipped = signature.endsWith('1b') ? '1c' : '1b'
  const rest = [
    `0x${r.toString(16).padStart(64, '0')}${high}${flipped}`,
    ...['00', '01', '1d', '25'].map((v) => signature.slice(0, -2) + v),
    signature.slice(0, -2),
    `${signature}00`,
    signature.slice(2),
    `0x${'0'.repeat(130)}`,
    `0x${'f'.repeat(128)}1b`,
  ]
  expect(signerOf(challenge.message, signature)).toBe(account.address.toLowerCase())
  expect(rest.map((one) => signerOf(challenge.message, one))).toEqual(rest.map(() => undefined))
})

/** The case of the last letter changed. */
function otherCase(address: string): string {
  const at = address.search(/[a-fA-F][^a-fA-F]*$/)
  const letter = address[at] ?? ''
  const changed = letter === letter.toUpperCase() ? letter.toLowerCase() : letter.toUpperCase()
  return address.slice(0, at) + changed + address.slice(at + 1)
}

test.each([
  ['lower case', account.address.toLowerCase(), true],
  ['its EIP-55 spelling', account.address, true],
  ['upper case', account.address.toUpperCase().replace('0X', '0x'), false],
  ['another mixed case', otherCase(account.address), false],
  ['one digit less', account.address.slice(0, -1), false],
  ['a line feed', `${account.address}\n`, false],
  ['no address', '', false],
])('an address in %s: a challenge is %s', (_, address, given) => {
  expect(login().login.start(address, 1) !== undefined).toBe(given)
})

test('challenges that no one answers are bounded: the oldest is dropped', async () => {
  const { login, challenge } = started()
  for (let count = 0; count < 10_000; count += 1) login.start(account.address, 1)
  expect(login.verify(challenge.requestId, await sign(challenge.message))).toBeUndefined()
})
