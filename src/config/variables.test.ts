import { readFileSync } from 'node:fs'

import { expect, test } from '@jest/globals'

import { FLAGS } from '../../test/support/config-reading.js'
import { readConfig } from '../config.js'
import { USAGE } from '../start/usage.js'
import { readMailRouter } from './mail-router.js'
import { printable, unknownVariables, VARIABLES } from './variables.js'

const NAME = /`([A-Z][A-Z0-9_]*_[A-Z0-9_]+|HOME|REGION)`/g

/** The names readConfig asks for, in a set of environments that between them lead down every branch. */
function namesRead(): Set<string> {
  const read = new Set<string>()
  const environments: Record<string, string>[] = [{}, { BROKER_BACKEND_URL: 'http://127.0.0.1:1' }]
  for (const variables of environments) {
    const watched = new Proxy(variables, {
      get(target, name: string) {
        read.add(name)
        return target[name]
      },
    })
    readConfig(watched, FLAGS)
    readMailRouter(watched)
  }
  return read
}

test('the list holds every variable that is read, and no other', () => {
  expect([...namesRead()].sort()).toEqual([...VARIABLES].sort())
})

test('docs/configuration.md has a row for every variable, and for no other', () => {
  const rows = readFileSync('docs/configuration.md', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `') && !line.startsWith('| `--'))
  const documented = rows.flatMap((row) =>
    [...(row.split('|')[1] ?? '').matchAll(NAME)].map((match) => match[1]),
  )
  expect(documented.sort()).toEqual([...VARIABLES].sort())
})

test('docs/configuration.md and the usage text speak of no variable that is not read', () => {
  const known: readonly string[] = VARIABLES
  for (const text of [readFileSync('docs/configuration.md', 'utf8'), USAGE]) {
    const named = [...text.matchAll(/\b(?:BROKER|DAEMON)_[A-Z_]*[A-Z]\b/g)].map(([name]) => name)
    expect(named.filter((name) => !known.includes(name))).toEqual([])
    expect(named.length).toBeGreaterThan(5)
  }
})

test.each([
  ['BROKER_ALOWED_AUDIENCES', 'did you mean BROKER_ALLOWED_AUDIENCES?'],
  ['BROKER_OIDC_ISSUER_URL', 'did you mean BROKER_OIDC_ISSUER?'],
  ['BROKER_ACCOUNT_ID', 'did you mean ACCOUNT_ID?'],
  ['BROKER_REGION', 'did you mean REGION?'],
  ['BROKER_PORT', 'did you mean --port?'],
  ['BROKER_METRICS_ENABLED', 'docs/configuration.md lists those there are'],
])('%s is a warning: %s', (name, advice) => {
  expect(unknownVariables([name])).toEqual([
    `${name} is not a variable of the broker and has no effect: ${advice}`,
  ])
})

test('known variables and those of others are none of our business', () => {
  expect(unknownVariables([...VARIABLES, 'PATH', 'DAEMON_X', 'broker_port'])).toEqual([])
})

test('what is shown stays on one line and turns nothing around', () => {
  expect(printable('a\nb\u202e\u001b[31m😀')).toBe('a\\u{a}b\\u{202e}\\u{1b}[31m\\u{1f600}')
  expect(printable('x'.repeat(500))).toHaveLength(121)
})
