import { beforeAll, describe, expect, test } from '@jest/globals'

import { type Ask, requestOf, WALLET } from '../../test/support/policy-requests.js'
import { type Cedar, loadCedar } from './cedar.js'
import { CedarEngine } from './cedar-engine.js'
import { cedarRequest } from './cedar-request.js'
import { CEDAR_SCHEMA } from './cedar-schema.js'
import { cedarSet } from './cedar-set.js'

let cedar: Cedar
beforeAll(async () => {
  cedar = await loadCedar()
})

const setOf = (text: string) =>
  cedarSet(cedar, { files: { 'p.cedar': text }, sha256: 'a'.repeat(64), ignored: [] })

function engineOf(text: string): CedarEngine {
  const engine = new CedarEngine(cedar, 'check')
  engine.prepare(setOf(text))()
  return engine
}

const decide = (text: string, ask: Ask = {}) => engineOf(text).decide(requestOf(ask))

const PERMIT = '@id("all") permit (principal, action, resource);'
const ROLE = 'arn:aws:iam::111122223333:role/prod'

describe('a decision', () => {
  test('names the policies that decided: permits, or the forbids that held, with their reasons', () => {
    const forbid = `@id("b") @reason("only \\"prod\\" now") forbid (principal, action, resource == Role::"${ROLE}");`
    expect(decide(`${PERMIT} ${forbid}`)).toMatchObject({ verdict: 'allow', policies: ['all'], reasons: [] })
    expect(decide(`${PERMIT} ${forbid}`, { role: ROLE })).toEqual({
      ...{ verdict: 'deny', policies: ['b'], reasons: ['only "prod" now'] },
      policySha256: 'a'.repeat(64),
    })
  })

  test('without a permit is a denial by no policy', () => {
    const other = `@id("x") permit (principal == Wallet::"0x${'0'.repeat(40)}", action, resource);`
    expect(decide(other)).toMatchObject({ verdict: 'deny', policies: [], reasons: [] })
  })
})

describe('what is put in place of another set', () => {
  test('decides from the assignment on, and not before', () => {
    const engine = engineOf(PERMIT)
    const putInForce = engine.prepare(setOf('@id("none") forbid (principal, action, resource);'))
    expect(engine.decide(requestOf())).toMatchObject({ verdict: 'allow' })
    putInForce()
    expect(engine.decide(requestOf())).toMatchObject({ verdict: 'deny', policies: ['none'] })
    engine.prepare(setOf(PERMIT))()
    expect(engine.decide(requestOf())).toMatchObject({ verdict: 'allow', policies: ['all'] })
  })
})

describe('a policy that fails is a denial', () => {
  const OVERFLOW =
    '@id("f") forbid (principal, action, resource) when { context.lifetime * 9223372036854775807 > 0 };'

  test('where Cedar alone skips the forbid and allows', () => {
    const request = cedarRequest(requestOf())
    const policies = { staticPolicies: { all: PERMIT, f: OVERFLOW } }
    const answer = cedar.isAuthorized({ ...request, policies, entities: [] })
    expect(answer).toMatchObject({ type: 'success', response: { decision: 'allow' } })

    const engine = engineOf(`${PERMIT} ${OVERFLOW}`)
    expect(engine.decide(requestOf())).toMatchObject({ verdict: 'error', policies: ['f'], reasons: [] })
    expect(engine.errors).toBe(1)
  })

  test('also where a permit fails beside one that holds', () => {
    const failing = OVERFLOW.replace('forbid', 'permit')
    expect(decide(`${PERMIT} ${failing}`)).toMatchObject({ verdict: 'error', policies: ['f'] })
  })

  test.each([NaN, 1.5, Infinity, 2 ** 63, 2 ** 70])(
    'and so is a number that is no integer: %p',
    (seconds) => {
      expect(decide(PERMIT, { seconds })).toMatchObject({ verdict: 'error', policies: [] })
    },
  )

  test('and so is a set that the library does not know, or a library that throws', () => {
    const broken = (statefulIsAuthorized: Cedar['statefulIsAuthorized']) => {
      const engine = new CedarEngine({ ...cedar, statefulIsAuthorized }, 'check')
      engine.prepare(setOf(PERMIT))()
      return engine.decide(requestOf())
    }
    const unknown = broken((call) => cedar.statefulIsAuthorized({ ...call, preparsedPolicySetId: 'none' }))
    const thrown = broken(() => {
      throw new Error('unreachable executed')
    })
    for (const decision of [unknown, thrown])
      expect(decision).toMatchObject({ verdict: 'error', policies: [] })
  })
})

describe('every request that a broker makes is one of the schema', () => {
  const child = { services: ['aws', 's3'], readOnly: true, parents: [{ wallet: WALLET, tokenSha256: '0' }] }
  const asks: Ask[] = [
    {},
    { role: ROLE },
    { agent: 'a', child, seconds: 60 },
    { kind: 'aws_creds', role: ROLE, child: { ...child, parents: [] } },
    { audience: 'api.example.com' },
    { audience: 'api.example.com', role: ROLE },
    { entitlements: { grants: 2, approvals: 1 } },
  ]
  test.each(asks)('%j', (ask) => {
    const request = cedarRequest(requestOf(ask))
    const policies = { staticPolicies: { all: PERMIT } }
    const call = { ...request, schema: CEDAR_SCHEMA, validateRequest: true, policies, entities: [] }
    expect(cedar.isAuthorized(call)).toMatchObject({ type: 'success', response: { decision: 'allow' } })
  })
})

describe('a value is a value, whatever is in it', () => {
  const odd = [
    '*',
    'a*',
    '?',
    '"',
    '\\',
    '"; permit (principal, action, resource); //',
    '::',
    'x::"y"',
    '${context.x}',
    '\u0430gent',
    'agent\u200b',
    'AGENT',
    ' agent',
    'agent\0',
    '__entity',
    '\ud800',
  ]

  test.each(odd)('an agent called %j is not the agent called agent, nor matched by it', (agent) => {
    const text =
      '@id("one") permit (principal, action, resource) when { context.session has agent && context.session.agent == "agent" };'
    expect(decide(text, { agent }).verdict).not.toBe('allow')
    expect(decide(text, { agent: 'agent' })).toMatchObject({ verdict: 'allow' })
  })

  test.each(odd)('a forbid of every agent but one holds for %j', (agent) => {
    const text = `${PERMIT} @id("f") forbid (principal, action, resource) unless { context.session has agent && context.session.agent like "agent" };`
    expect(decide(text, { agent }).verdict).not.toBe('allow')
  })

  test.each(odd)('a service called %j is not the service s3', (service) => {
    const text =
      '@id("one") permit (principal, action, resource) when { context.session.services.contains("s3") };'
    const child = { services: [service], readOnly: false, parents: [] }
    expect(decide(text, { child }).verdict).not.toBe('allow')
  })

  test.each(odd)('an audience or role called %j is no other', (name) => {
    const text = `@id("one") permit (principal, action, resource == Audience::"api"); @id("two") permit (principal, action, resource == Role::"${ROLE}");`
    expect(decide(text, { audience: name }).verdict).not.toBe('allow')
    expect(decide(text, { role: name }).verdict).not.toBe('allow')
    expect(decide(text, { role: ROLE })).toMatchObject({ verdict: 'allow', policies: ['two'] })
  })
})
