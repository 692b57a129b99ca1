// Two brokers on one ledger spend the last use of a grant at the same moment: one of them has it.

import { expect, test } from '@jest/globals'

import { LedgerBuilder } from '../../test/support/ledger-builder.js'
import { SIGNER } from '../../test/support/ledger-signer.js'
import { Grants } from '../domain/ledger/grants.js'
import type { LedgerEvent } from '../domain/ledger/events.js'
import { LedgerError } from '../domain/ledger-error.js'
import { verifyLedger } from '../domain/ledger/verify.js'
import { MemoryEventStore } from '../event-store/memory.js'
import { signed } from '../../test/support/ledger-signer.js'
import { DEFAULT_LIMITS, Sequencer } from './sequencer.js'

const ROUNDS = 1_000

test('one of two sequencers has the last use, a thousand times, and the ledger verifies', async () => {
  const store = new MemoryEventStore()
  const ledger = LedgerBuilder.opened()
  const opened = ledger.drain()
  await store.append(signed(opened), 0)
  const now = () => ledger.now
  const brokers = [1, 2].map(
    () =>
      new Sequencer(store, opened.at(-1), now, () => undefined, DEFAULT_LIMITS, {
        signer: SIGNER,
        grants: new Grants(),
      }),
  )
  const [first] = brokers as [Sequencer, Sequencer]
  const won = [0, 0]
  for (let round = 0; round < ROUNDS; round += 1) {
    const { wallet, mintId: id } = ledger.mint()
    const grantId = `grn-${id}`
    const expiresAt = new Date(ledger.now.getTime() + 60_000).toISOString()
    const what = { actions: ['oidc_jwt' as const], resources: ['sts.amazonaws.com'], by: 'operator', uses: 1 }
    await first.append([{ type: 'GrantCreated', data: { grantId, wallet, expiresAt, ...what } }])
    const ends = await Promise.allSettled(
      brokers.map((broker) => broker.append(minting(ledger, wallet, grantId), undefined, usable(grantId))),
    )
    const winners = ends.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []))
    if (winners.length !== 1) throw new Error(`round ${round}: ${JSON.stringify(ends)}`)
    won[winners[0]!]! += 1
    const lost = ends.find(({ status }) => status === 'rejected')
    expect((lost as PromiseRejectedResult).reason).toMatchObject({ code: 'grant-changed' })
  }
  for (const broker of brokers) await broker.close()
  const texts = (await store.read(0, 10 * ROUNDS)).map(({ text }) => text)
  const { findings, counts } = verifyLedger(texts)
  expect(findings).toEqual([])
  expect(counts.byType).toMatchObject({ GrantUsed: ROUNDS, JwtIssued: ROUNDS })
  expect(won[0]! + won[1]!).toBe(ROUNDS)
})

const usable =
  (grantId: string) =>
  ({ grants, at }: { grants: Grants; at: number }) => {
    // Not heard of yet: the conflict with the entry that creates it comes first.
    const problem = grants.get(grantId) && grants.useProblem(grantId, at)
    return problem && new LedgerError('grant-changed', problem.detail)
  }

function minting(ledger: LedgerBuilder, wallet: string, grantId: string): LedgerEvent[] {
  const mint = ledger.mint(wallet)
  const scratch = new LedgerBuilder(1, 0, ledger.now.toISOString())
  scratch.kid = ledger.kid
  scratch
    .session(mint)
    .append({ type: 'GrantUsed', data: { ...mint, grantId } })
    .jwt(mint)
  return scratch.entries.map(({ entry: { type, data } }) => ({ type, data }) as unknown as LedgerEvent)
}
