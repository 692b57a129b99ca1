// policy test FILE: what the operator expects of the policy, held against it.

import { readFileSync } from 'node:fs'

import { z } from 'zod'

import type { Config } from '../../config.js'
import { STS_AUDIENCE } from '../../domain/ledger/audience.js'
import { LocalClock } from '../../domain/local-time.js'
import { NO_ENTITLEMENTS, type PolicyRequest } from '../../domain/policy-request.js'
import { loadCedar } from '../../policy/cedar.js'
import { CedarEngine } from '../../policy/cedar-engine.js'
import type { CedarSet } from '../../policy/cedar-set.js'
import { PolicyError } from '../../policy/policy-folder.js'
import type { Outcome } from '../outcome.js'

const WALLET = z.string().regex(/^0x[0-9a-f]{40}$/)

const CASE = z.strictObject({
  name: z.string(),
  wallet: WALLET,
  kind: z.enum(['jwt', 'creds']).default('jwt'),
  audience: z.string().default(STS_AUDIENCE),
  role: z.string().optional(),
  seconds: z.int().default(900),
  agent: z.string().optional(),
  at: z.iso.datetime().default('2026-01-07T12:00:00Z'),
  child: z
    .strictObject({
      services: z.array(z.string()),
      readOnly: z.boolean(),
      parents: z.array(WALLET).default([]),
    })
    .optional(),
  grants: z.int().default(0),
  approvals: z.int().default(0),
  expect: z.enum(['allow', 'deny']),
  /** The policies that must have decided, in any order. */
  by: z.array(z.string()).optional(),
})
const CASES = z.array(CASE).min(1)

type Case = z.infer<typeof CASE>

export async function runTests(file: string, set: CedarSet, { policyFiles }: Config): Promise<Outcome> {
  const engine = new CedarEngine(await loadCedar(), 'check')
  engine.prepare(set)()
  const clock = new LocalClock(policyFiles.timezone)
  const cases = casesOf(file)
  const failed = cases.flatMap((each) => {
    const { verdict, policies } = engine.decide(requestOf(each, clock))
    const by = each.by && [...each.by].sort().join(', ')
    const asExpected = verdict === each.expect && (by === undefined || by === policies.join(', '))
    const wanted = by === undefined ? each.expect : `${each.expect} by ${by}`
    return asExpected
      ? []
      : [`${each.name}: expected ${wanted}, is ${verdict} by ${policies.join(', ') || 'no policy'}`]
  })
  if (failed.length === 0) return { code: 0, message: `${cases.length} as expected` }
  return { code: 1, message: [...failed, `${failed.length} of ${cases.length} not as expected`].join('\n') }
}

function casesOf(file: string): Case[] {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new PolicyError(`${file}: ${(error as Error).message}`)
  }
  const parsed = CASES.safeParse(value)
  if (!parsed.success) throw new PolicyError(`${file}: ${z.prettifyError(parsed.error)}`)
  return parsed.data
}

function requestOf(each: Case, clock: LocalClock): PolicyRequest {
  const { wallet, kind, audience, role, seconds, agent, child, grants, approvals } = each
  const at = new Date(each.at)
  const parents = (child?.parents ?? []).map((parent) => ({ wallet: parent, tokenSha256: '0'.repeat(64) }))
  return {
    caller: { wallet, backend: 'embedded', agent, child: child && { ...child, parents } },
    ask: {
      ...{ kind: kind === 'jwt' ? 'oidc_jwt' : 'aws_creds', roleArn: role, lifetimeSeconds: seconds },
      audience: kind === 'jwt' ? audience : STS_AUDIENCE,
    },
    at,
    local: clock.at(at),
    entitlements: { ...NO_ENTITLEMENTS, grants, approvals },
  }
}
