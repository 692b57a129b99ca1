// Two brokers on one ledger use an approval at the same moment: one of them has it.

import { expect, test } from '@jest/globals'

import { LedgerBuilder } from '../../test/support/ledger-builder.js'
import { SIGNER, signed } from '../../test/support/ledger-signer.js'
import { approvalAsk, Approvals, hashOfAsk } from '../domain/ledger/approvals.js'
import type { LedgerEvent } from '../domain/ledger/events.js'
import { verifyLedger } from '../domain/ledger/verify.js'
import { LedgerError } from '../domain/ledger-error.js'
import { MemoryEventStore } from '../event-store/memory.js'
import { DEFAULT_LIMITS, Sequencer } from './sequencer.js'

const ROUNDS = 1_000

test('one of two sequencers uses the approval, a thousand times, and the ledger verifies', async () => {
  const store = new MemoryEventStore()
  const ledger = LedgerBuilder.opened()
  const opened = ledger.drain()
  await store.append(signed(opened), 0)
  const now = () => ledger.now
  const brokers = [1, 2].map(
    () =>
      new Sequencer(store, opened.at(-1), now, () => undefined, DEFAULT_LIMITS, {
        signer: SIGNER,
        approvals: new Approvals(),
      }),
  )
  const [first] = brokers as [Sequencer, Sequencer]
  const won = [0, 0]
  for (let round = 0; round < ROUNDS; round += 1) {
    const { wallet, approvalId, events } = approved(ledger)
    await first.append(events)
    const ends = await Promise.allSettled(
      brokers.map((broker) =>
        broker.append(minting(ledger, wallet, approvalId), undefined, usable(approvalId)),
      ),
    )
    const winners = ends.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []))
    if (winners.length !== 1) throw new Error(`round ${round}: ${JSON.stringify(ends)}`)
    won[winners[0]!]! += 1
    const lost = ends.find(({ status }) => status === 'rejected')
    expect((lost as PromiseRejectedResult).reason).toMatchObject({ code: 'approval-changed' })
  }
  for (const broker of brokers) await broker.close()
  const texts = (await store.read(0, 10 * ROUNDS)).map(({ text }) => text)
  const { findings, counts } = verifyLedger(texts)
  expect(findings).toEqual([])
  expect(counts.byType).toMatchObject({ ApprovalUsed: ROUNDS, JwtIssued: ROUNDS })
  expect(won[0]! + won[1]!).toBe(ROUNDS)
})

const usable =
  (approvalId: string) =>
  ({ approvals, at }: { approvals: Approvals; at: number }) => {
    // Not heard of yet: the conflict with the entry that requests it comes first.
    const problem = approvals.get(approvalId) && approvals.useProblem(approvalId, at)
    return problem && new LedgerError('approval-changed', problem.detail)
  }

const eventsOf = (scratch: LedgerBuilder) =>
  scratch.entries.map(({ entry: { type, data } }) => ({ type, data }) as unknown as LedgerEvent)

function scratchOf(ledger: LedgerBuilder): LedgerBuilder {
  const scratch = new LedgerBuilder(1, 0, ledger.now.toISOString())
  scratch.kid = ledger.kid
  return scratch
}

/** The refusal of a mint, the request that it made, and the operator's approval. */
function approved(ledger: LedgerBuilder) {
  const { wallet, mintId } = ledger.mint()
  const approvalId = `apr-${mintId}`
  const expiresAt = new Date(ledger.now.getTime() + 60_000).toISOString()
  const ask = approvalAsk({
    ...{ kind: 'oidc_jwt', wallet, audience: 'sts.amazonaws.com', lifetimeSeconds: 300 },
  })
  const askSha256 = hashOfAsk(ask)
  const request = { approvalId, mintId, tokenSha256: 'ab'.repeat(32), parents: [], expiresAt, askSha256 }
  const scratch = scratchOf(ledger)
  scratch
    .refused({ mintId, wallet }, 'approval-required')
    .append({ type: 'ApprovalRequested', data: { ...ask, ...request } })
    .append({ type: 'ApprovalGranted', data: { approvalId, askSha256, expiresAt, by: 'operator' } })
  return { wallet, approvalId, events: eventsOf(scratch) }
}

function minting(ledger: LedgerBuilder, wallet: string, approvalId: string): LedgerEvent[] {
  const mint = ledger.mint(wallet)
  const scratch = scratchOf(ledger)
  scratch
    .session(mint)
    .append({ type: 'ApprovalUsed', data: { ...mint, approvalId } })
    .jwt(mint)
  return eventsOf(scratch)
}
