import { beforeAll, expect, test } from '@jest/globals'

import { type Cedar, loadCedar } from './cedar.js'
import { cedarSet } from './cedar-set.js'

let cedar: Cedar
beforeAll(async () => {
  cedar = await loadCedar()
})

const load = (...texts: string[]) =>
  cedarSet(cedar, {
    files: Object.fromEntries(texts.map((text, i) => [`${i}.cedar`, text])),
    ...{ sha256: 'a'.repeat(64), ignored: [] },
  })

const PERMIT = '@id("all") permit (principal, action, resource);'
const when = (condition: string) => `@id("x") permit (principal, action, resource) when { ${condition} };`

test('policies are named by their @id, over all files', () => {
  const { policies, reasons } = load(
    PERMIT,
    '@id("b") @reason("why not") forbid (principal, action, resource);',
  )
  expect(Object.keys(policies)).toEqual(['all', 'b'])
  expect(reasons).toEqual(new Map([['b', 'why not']]))
})

// Each is accepted by Cedar's own parser, but for the first three.
test.each<[string, string[], RegExp]>([
  ['a text cut off', [PERMIT, '@id("x") forbid (principal'], /^1.cedar: line 1: /],
  [
    'a list of principals in the scope',
    ['@id("x") permit (principal in [Wallet::"a", Wallet::"b"], action, resource);'],
    /^0.cedar: /,
  ],
  ['a function that there is not', [when('matches(context.session.backend, ".*")')], /^0.cedar: /],
  ['nothing but a comment', ['// permit (principal, action, resource);'], /no policy in it/],
  ['a template', ['@id("x") permit (principal == ?principal, action, resource);'], /template/],
  ['no @id', [PERMIT, 'forbid (principal, action, resource);'], /^1.cedar: every policy needs an @id/],
  ['an @id twice', [PERMIT, PERMIT], /^1.cedar: @id\("all"\) is there twice/],
  ['an @id of other signs', [PERMIT.replace('all', 'a b')], /every policy needs an @id/],
  ['an annotation that does nothing', [`@advice("x") ${PERMIT}`], /@advice has no effect/],
  ['a @reason of two lines', [`@reason("a\\nb") ${PERMIT}`], /@reason of all: 1 to 200/],
  ['an attribute that there is not', [when('context.session.name == "x"')], /name/],
  [
    'an optional attribute that is not asked for',
    [when('context.role == Role::"arn:aws:iam::111122223333:role/a"')],
    /context has role/,
  ],
  ['types that cannot be compared', [when('context.lifetime == "900"')], /type/i],
  ['an entity of no type of ours', [when('principal == User::"x"')], /User/],
  [
    'an action that there is not',
    ['@id("x") forbid (principal, action == Action::"mint", resource);'],
    /mint/,
  ],
  [
    'a wallet with capitals',
    [`@id("x") forbid (principal == Wallet::"0x${'aB'.repeat(20)}", action, resource);`],
    /never in a mint/,
  ],
  ['a wallet in a set', [when(`[Wallet::"0xabc"].contains(principal)`)], /never in a mint/],
  [
    'half an ARN',
    ['@id("x") forbid (principal, action, resource == Role::"prod");'],
    /never in a mint: it must be the whole ARN/,
  ],
  [
    'an audience with a star',
    ['@id("x") forbid (principal, action, resource == Audience::"*");'],
    /no wildcards/,
  ],
  [
    'an audience in letters of another alphabet',
    ['@id("x") forbid (principal, action, resource == Audience::"\u0430pi");'],
    /never in a mint/,
  ],
])('%s is refused', (_, texts, problem) => {
  expect(() => load(...texts)).toThrow(problem)
})

test('200 policies are loaded, and 201 are not', () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, i) => PERMIT.replace('all', `p${i}`)).join('\n')
  expect(Object.keys(load(many(200)).policies)).toHaveLength(200)
  expect(() => load(many(201))).toThrow('201 policies: there may be 200')
})

test('a condition that never holds is a warning', () => {
  expect(load(`${PERMIT} ${when('false')}`).warnings).toHaveLength(1)
})
