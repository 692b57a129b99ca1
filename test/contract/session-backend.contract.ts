import { inspect } from 'node:util'

import { afterEach, describe, expect, test } from '@jest/globals'

import { type Wallet } from '../../src/domain/wallet.js'
import { type SessionBackend } from '../../src/session/session-backend.js'

export interface Subject {
  backend: SessionBackend
  bearer: string
  wallet: Wallet
  /** What the ledger is to call it. */
  name: string
  revoke: () => void
  /** After this the backend cannot tell whose a bearer is. */
  breakDown: () => Promise<void>
  dispose: () => Promise<void>
}

/** What session-backend.ts promises, held against a real implementation. */
export function sessionBackendContract(name: string, open: () => Promise<Subject>): void {
  describe(`${name} keeps the contract of a session backend:`, () => {
    let subject: Subject | undefined
    afterEach(async () => {
      await subject?.dispose()
      subject = undefined
    })
    const opened = async () => (subject = await open())

    test('a good bearer is a session of one wallet, however often it is asked for', async () => {
      const { backend, bearer, wallet, name } = await opened()
      const session = { wallet, backend: name }
      expect([await backend.validate(bearer), await backend.validate(bearer)]).toEqual([session, session])
    })

    test('a hundred at once are all answered', async () => {
      const { backend, bearer, wallet, name } = await opened()
      const all = await Promise.all(Array.from({ length: 100 }, () => backend.validate(bearer)))
      expect(all).toEqual(Array.from({ length: 100 }, () => ({ wallet, backend: name })))
    })

    test.each([
      ['one character less', (good: string) => good.slice(0, -1)],
      ['one character more', (good: string) => `${good}0`],
      ['another last character', (good: string) => good.slice(0, -1) + (good.endsWith('0') ? '1' : '0')],
      ['upper case', (good: string) => good.toUpperCase()],
      ['nothing', () => ''],
      ['a space after it', (good: string) => `${good} `],
      ['a newline after it', (good: string) => `${good}\n`],
      ['full-width digits', (good: string) => good.replace(/[0-9]/, '５')],
      ['SQL', () => "'OR''=''--"],
      ['far too many characters', (good: string) => good.repeat(100)],
    ])('the good bearer with %s is unauthorized', async (_what, change) => {
      const { backend, bearer } = await opened()
      await expect(backend.validate(change(bearer))).rejects.toMatchObject({
        name: 'SessionError',
        code: 'unauthorized',
      })
    })

    test('a revocation is seen by the very next validation', async () => {
      const { backend, bearer, wallet, revoke } = await opened()
      expect(await backend.validate(bearer)).toMatchObject({ wallet })
      revoke()
      await expect(backend.validate(bearer)).rejects.toMatchObject({ code: 'unauthorized' })
    })

    test('a backend that cannot tell lets no one in, not even who was in just now', async () => {
      const { backend, bearer, breakDown } = await opened()
      await backend.validate(bearer)
      expect(await backend.healthy()).toBe(true)
      await breakDown()
      await expect(backend.validate(bearer)).rejects.toMatchObject({ code: 'backend-unreachable' })
      expect(await backend.healthy()).toBe(false)
    })

    test('an error never holds the bearer', async () => {
      const { backend, bearer, breakDown } = await opened()
      const unknown = `${bearer.slice(0, -4)}beef`
      const said = [await messageOf(backend.validate(unknown))]
      await breakDown()
      said.push(await messageOf(backend.validate(unknown)))
      expect(said.map((text) => text.includes(unknown))).toEqual([false, false])
    })
  })
}

/** All that an error says anywhere, its causes included. */
async function messageOf(refused: Promise<unknown>): Promise<string> {
  const error = await refused.then(
    () => {
      throw new Error('the bearer was taken')
    },
    (reason: unknown) => reason,
  )
  return inspect(error, { depth: 10 })
}
