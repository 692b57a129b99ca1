// The examples of docs/policy.md, as they stand there.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { beforeAll, expect, test } from '@jest/globals'

import { type Ask, requestOf } from '../../test/support/policy-requests.js'
import { type Cedar, loadCedar } from './cedar.js'
import { CedarEngine } from './cedar-engine.js'
import { cedarSet } from './cedar-set.js'

/** Seen from dist/src/policy, where this runs. */
const GUIDE = readFileSync(fileURLToPath(new URL('../../../docs/policy.md', import.meta.url)), 'utf8')
const [, ...SECTIONS] = GUIDE.split(/^### /m)
const EXAMPLES = new Map(
  SECTIONS.map((section) => [section.split('\n')[0]!, /```cedar\n([^]*?)```/.exec(section)![1]!]),
)
const ALL = EXAMPLES.get('Everything the settings allow')!

let cedar: Cedar
beforeAll(async () => {
  cedar = await loadCedar()
})

const role = (name: string) => `arn:aws:iam::111122223333:role/${name}`
const other = `0x${'ef'.repeat(20)}`
const child = (wallet = other, readOnly = false) => ({
  ...{ services: ['aws'], readOnly, parents: [{ wallet, tokenSha256: '0'.repeat(64) }] },
})
const zone = 'Europe/Berlin'

/** Each with what it lets through and what it does not. */
const CASES: Record<string, { allowed: Ask[]; refused: Ask[] }> = {
  'Everything the settings allow': { allowed: [{}, { role: role('any') }], refused: [] },
  'Office hours': {
    // Summer and winter: 8 in Berlin is 6, or 7, in UTC. 2026-11-28 is a Saturday.
    allowed: ['2026-07-01T06:00:00Z', '2026-11-27T07:00:00Z', '2026-11-27T16:59:59Z'].map((at) => ({
      at,
      zone,
    })),
    refused: [
      ...['2026-07-01T05:59:59Z', '2026-11-27T06:59:59Z', '2026-11-27T17:00:00Z'],
      ...['2026-11-28T10:00:00Z', '2026-11-29T10:00:00Z', '2026-11-26T23:30:00Z'],
    ].map((at) => ({ at, zone })),
  },
  'One role for one wallet': {
    allowed: [{ role: role('reports') }, { kind: 'aws_creds', role: role('reports') }],
    refused: [{}, { role: role('reports2') }, { role: role('reports'), wallet: other }],
  },
  'One role for one agent': {
    allowed: [{ role: role('deploy'), agent: 'builder' }, { role: role('reports') }, {}],
    refused: [
      ...[undefined, 'Builder', 'builder '].map((agent) => ({
        role: role('deploy'),
        ...(agent && { agent }),
      })),
      { role: role('deploy'), audience: 'api.example.com' },
    ],
  },
  'Several wallets': { allowed: [{}, { wallet: `0x${'cd'.repeat(20)}` }], refused: [{ wallet: other }] },
  'Block a wallet': {
    allowed: [{ wallet: other }, { wallet: other, child: child() }],
    refused: [{}, { wallet: other, child: child(`0x${'ab'.repeat(20)}`) }],
  },
  'A ceiling on lifetime': {
    allowed: [
      { role: role('production'), seconds: 900 },
      { role: role('reports'), seconds: 3600 },
    ],
    refused: [{ kind: 'aws_creds', role: role('production'), seconds: 901 }],
  },
  'Child sessions get tokens, not AWS credentials': {
    allowed: [{ child: child() }, { kind: 'aws_creds', role: role('a') }],
    refused: [
      { kind: 'aws_creds', role: role('a'), child: child() },
      { kind: 'aws_creds', role: role('a'), child: { ...child(), parents: [] } },
    ],
  },
  'One audience for read-only sessions': {
    allowed: [{ child: child(other, true) }, { audience: 'api.example.com' }],
    refused: [{ child: child(other, true), audience: 'api.example.com' }],
  },
  'Until a day': {
    allowed: [{ at: '2026-12-31T23:59:59.999Z' }],
    refused: [{ at: '2027-01-01T00:00:00Z' }],
  },
}

test('every example of the guide has its cases here', () => {
  expect([...EXAMPLES.keys()]).toEqual(Object.keys(CASES))
})

test.each(Object.keys(CASES))('%s', (name) => {
  const example = EXAMPLES.get(name)!
  // A forbid alone permits nothing.
  const text = example.includes('\npermit (') ? example : `${ALL}${example}`
  const set = cedarSet(cedar, { files: { 'p.cedar': text }, sha256: '0'.repeat(64), ignored: [] })
  expect(set.warnings).toEqual([])
  const engine = new CedarEngine(cedar, 'check')
  engine.prepare(set)()
  const { allowed, refused } = CASES[name]!
  for (const ask of allowed) expect([ask, engine.decide(requestOf(ask)).verdict]).toEqual([ask, 'allow'])
  for (const ask of refused) expect([ask, engine.decide(requestOf(ask)).verdict]).toEqual([ask, 'deny'])
})
