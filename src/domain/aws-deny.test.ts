import { expect, test } from '@jest/globals'

import { denyIssuedBefore, denyPolicy } from './aws-deny.js'
import type { CutOffTarget } from './ledger/events.js'

const MINT_ID = '0193a000-0000-7000-8000-000000000000'
const WALLET = `0x${'a'.repeat(40)}`

test.each<[CutOffTarget, object | undefined]>([
  [
    { kind: 'wallet', target: WALLET },
    { StringEquals: { 'aws:PrincipalTag/agentkeys_user_wallet': WALLET } },
  ],
  [{ kind: 'mint', target: MINT_ID }, { StringLike: { 'aws:userid': `*:ak-${MINT_ID}` } }],
  [{ kind: 'role', target: 'arn:aws:iam::111122223333:role/x' }, {}],
  [{ kind: 'session', target: `sha256:${'a'.repeat(64)}` }, undefined],
])('for %j', (target, whose) => {
  const time = '2026-11-20T12:10:00.000Z'
  const policy = denyPolicy(target, time) as { Statement: object[] } | undefined
  const Condition = { ...whose, DateLessThan: { 'aws:TokenIssueTime': time } }
  expect(policy?.Statement).toEqual(
    whose && [{ Sid: 'AgentKeysCutOff', Effect: 'Deny', Action: '*', Resource: '*', Condition }],
  )
})

test('a token from before the cut-off may be exchanged at STS until it and the clocks have run out', () => {
  const before = denyIssuedBefore(new Date('2026-11-20T12:00:00.000Z'), { jwtTtlSeconds: 300 })
  expect(before.toISOString()).toBe('2026-11-20T12:10:00.000Z')
})
