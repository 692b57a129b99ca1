import { resolve } from 'node:path'

import { describe, expect, test } from '@jest/globals'

import { Environment, type Variables } from './environment.js'
import { readLedger } from './ledger.js'

function read(variables: Variables, issuer = 'https://broker.example.com') {
  const env = new Environment(variables)
  return { ledger: readLedger(env, issuer, '/data'), problems: env.problems, warnings: env.warnings }
}

describe('BROKER_LEDGER_URL', () => {
  test.each([
    ['sqlite:/srv/l.sqlite', '/srv/l.sqlite'],
    ['sqlite:l.sqlite', resolve('l.sqlite')],
    ['sqlite:a@b/l.sqlite', resolve('a@b/l.sqlite')],
  ])('%s is a file', (url, path) => {
    expect(read({ BROKER_LEDGER_URL: url })).toMatchObject({
      ledger: { store: { kind: 'sqlite', path } },
      problems: [],
    })
  })

  test.each([
    ['esdb://localhost:2113?tls=false'],
    ['esdb://localhost/?tls=false&tlsCAFile=/certs/ca%20x.crt'],
    ['esdb://ledger-app:p%40ss%3Aw@node1:2111,node2:2112,node_3?nodePreference=leader'],
    ['esdb+discover://cluster.internal'],
  ])('%s is a cluster', (url) => {
    expect(read({ BROKER_LEDGER_URL: url, BROKER_LEDGER_STREAM: 'mine' })).toMatchObject({
      ledger: { store: { kind: 'esdb', url, stream: 'mine' } },
      problems: [],
      warnings: [],
    })
  })

  test.each([
    [''],
    ['ledger.sqlite'],
    ['sqlite:'],
    ['sqlite::memory:'],
    ['sqlite://ledger.sqlite'],
    ['sqlite:~/ledger.sqlite'],
    ['ESDB://localhost'],
    ['esdb://'],
    ['esdb://ann@localhost'],
    ['esdb://ann:pass:word@localhost'],
    ['esdb://ann:pa/ss@localhost'],
    ['esdb://ann:100%@localhost'],
    ['esdb://ann:%ff@localhost'],
    ['esdb://localhost:port'],
    ['esdb://localhost?tls'],
    ['esdb://localhost?tls=false&'],
    [' esdb://localhost'],
    ['esdb://localhost\n'],
    ['kurrentdb://localhost'],
  ])('%j is refused', (url) => {
    const { problems } = read({ BROKER_LEDGER_URL: url })
    expect(problems).toEqual([expect.stringMatching(/^BROKER_LEDGER_URL/)])
  })
})

test('a stream name without a cluster is a warning', () => {
  expect(read({ BROKER_LEDGER_STREAM: 'mine' }).warnings).toEqual([
    'BROKER_LEDGER_STREAM has no effect: only an esdb:// ledger has a stream name',
  ])
})

describe('the origin', () => {
  test.each([
    ['https://broker.example.com/tenants/a', 'broker.example.com/tenants/a/ledger'],
    ['http://127.0.0.1:8091', '127.0.0.1:8091/ledger'],
  ])('of %s is %s', (issuer, origin) => {
    expect(read({}, issuer).ledger.origin).toBe(origin)
  })

  test('is made of an issuer that has a plus only by the operator', () => {
    const issuer = 'https://broker.example.com/a+b'
    expect(read({}, issuer).problems).toEqual([
      'BROKER_LEDGER_ORIGIN is not set, and its default "broker.example.com/a+b/ledger", made of the issuer, is not a name of at most 255 bytes without spaces, plus signs and control characters; set it',
    ])
    expect(read({ BROKER_LEDGER_ORIGIN: 'mine' }, issuer)).toMatchObject({
      ledger: { origin: 'mine' },
      problems: [],
    })
  })

  test.each([
    [''],
    ['a b'],
    ['a+b'],
    ['a\u00a0b'],
    ['a\u0085b'],
    ['a\u2028b'],
    ['a\u202eb'],
    ['a\n'],
    ['é'.repeat(128)],
    ['\ud800'],
  ])('%j is refused', (origin) => {
    expect(read({ BROKER_LEDGER_ORIGIN: origin }).problems).toHaveLength(1)
  })

  test('may have 255 bytes, and other letters', () => {
    const origin = `${'é'.repeat(127)}x`
    expect(read({ BROKER_LEDGER_ORIGIN: origin })).toMatchObject({ ledger: { origin }, problems: [] })
  })
})
