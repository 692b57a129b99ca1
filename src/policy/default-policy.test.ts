import { beforeAll, expect, test } from '@jest/globals'
import fc from 'fast-check'

import { LocalClock } from '../domain/local-time.js'
import { decideCreds, decideJwt, type MintPolicy } from '../domain/mint.js'
import { NO_ENTITLEMENTS, type PolicyAsk } from '../domain/policy-request.js'
import type { Scope } from '../domain/ledger/child-session.js'
import { WALLET } from '../../test/support/policy-requests.js'
import { type Cedar, loadCedar } from './cedar.js'
import { CedarEngine } from './cedar-engine.js'
import { cedarSet } from './cedar-set.js'
import { defaultPolicy } from './default-policy.js'

let cedar: Cedar
beforeAll(async () => {
  cedar = await loadCedar()
})

const ROLES = ['a', 'b', 'path/c'].map((name) => `arn:aws:iam::111122223333:role/${name}`)
const AUDIENCES = ['aws', 'api.example.com', 'quo"te\\']
const SERVICES = ['aws', 's3', 'api.example.com', 'AWS']

const settings: fc.Arbitrary<MintPolicy> = fc.record({
  issuer: fc.constant('https://broker.example.com'),
  dataRoleArn: fc.option(fc.constantFrom(...ROLES), { nil: undefined }),
  allowedRoleArns: fc.subarray(ROLES),
  readOnlyRoleArns: fc.subarray(ROLES),
  allowedAudiences: fc.subarray(AUDIENCES),
  jwtTtlSeconds: fc.constantFrom(60, 300, 3600),
  sessionDurationSeconds: fc.constantFrom(900, 3600),
  sourceIdentity: fc.boolean(),
})
const ask = fc.record({
  kind: fc.constantFrom('oidc_jwt' as const, 'aws_creds' as const),
  audience: fc.constantFrom('sts.amazonaws.com', ...AUDIENCES, 'other'),
  role: fc.option(fc.constantFrom(...ROLES, `${ROLES[0]}2`), { nil: undefined }),
  seconds: fc.constantFrom(59, 60, 300, 301, 899, 900, 3600, 3601),
})
const scope: fc.Arbitrary<Scope | undefined> = fc.option(
  fc.record({ services: fc.subarray(SERVICES), readOnly: fc.boolean() }),
  { nil: undefined },
)

test('the default policy says of every mint what the broker says without one', () => {
  const at = new Date('2026-11-27T12:00:00Z')
  const local = new LocalClock('UTC').at(at)
  const seen = { allowed: 0, refused: 0 }
  fc.assert(
    fc.property(
      settings,
      fc.array(fc.tuple(ask, scope), { minLength: 10, maxLength: 10 }),
      (policy, asks) => {
        const engine = new CedarEngine(cedar, 'check')
        const text = defaultPolicy(policy)
        engine.prepare(cedarSet(cedar, { files: { 'p.cedar': text }, sha256: '0'.repeat(64), ignored: [] }))()
        for (const [{ kind, audience, role, seconds }, scope] of asks) {
          const granted =
            kind === 'oidc_jwt'
              ? decideJwt({ audience, role, ttlSeconds: seconds }, policy, scope)
              : decideCreds({ role, durationSeconds: seconds }, policy, scope)
          const asked: PolicyAsk = {
            ...{ kind, roleArn: role ?? policy.dataRoleArn, lifetimeSeconds: seconds },
            audience: kind === 'oidc_jwt' ? audience : 'sts.amazonaws.com',
          }
          const caller = {
            ...{ wallet: WALLET, backend: 'embedded', agent: undefined },
            child: scope && { ...scope, parents: [] },
          }
          const { verdict } = engine.decide({ caller, ask: asked, at, local, entitlements: NO_ENTITLEMENTS })
          expect(verdict).toBe('granted' in granted ? 'allow' : 'deny')
          seen[verdict === 'allow' ? 'allowed' : 'refused'] += 1
        }
      },
    ),
    { numRuns: 60 },
  )
  expect(Math.min(seen.allowed, seen.refused)).toBeGreaterThan(0)
})
