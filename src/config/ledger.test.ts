import { resolve } from 'node:path'

import { describe, expect, test } from '@jest/globals'

import { parseEsdbAddress } from '../../tools/verify-ledger/sources/esdb-address.js'
import { parseAddress } from '../event-store/eventstoredb/address.js'
import { EventStoreDbEventStore } from '../event-store/eventstoredb.js'
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
    [''],
    ['ledger.sqlite'],
    ['sqlite:'],
    ['sqlite::memory:'],
    ['sqlite://ledger.sqlite'],
    ['sqlite:~/ledger.sqlite'],
    ['ESDB://localhost?tls=false'],
    [' esdb://localhost?tls=false'],
    ['kurrentdb://localhost'],
  ])('%j is refused', (url) => {
    const { problems } = read({ BROKER_LEDGER_URL: url })
    expect(problems).toEqual([expect.stringMatching(/^BROKER_LEDGER_URL/)])
  })
})

/** Whether the store takes the URL. It connects to nothing before it is asked something. */
function isTakenByStore(url: string): boolean {
  try {
    new EventStoreDbEventStore(url, { stream: 'mine' })
    return true
  } catch {
    return false
  }
}

describe('a ledger in EventStoreDB', () => {
  test.each([
    ['esdb://localhost:2113?tls=false'],
    ['esdb://localhost/?tls=false&tlsCAFile=/certs/ca%20x.crt'],
    ['esdb://ledger-app:p%40ss%3Aw@node1:2111,node2:2112,node_3?nodePreference=leader'],
    ['esdb://ledger-app:pass@event_store_1.ledger'],
    ['esdb://ledger-app:pass@node1?default-deadline=6000&KEEP_ALIVE_TIMEOUT=5000&connectionName=a%26b'],
    ['esdb+discover://ledger-app:pass@cluster.internal'],
  ])('%s is taken by the configuration, the store and the auditor alike', (url) => {
    expect(read({ BROKER_LEDGER_URL: url, BROKER_LEDGER_STREAM: 'mine' })).toMatchObject({
      ledger: { store: { kind: 'esdb', url, stream: 'mine' } },
      problems: [],
      warnings: [],
    })
    expect(isTakenByStore(url)).toBe(true)
    expect(parseEsdbAddress(url).name).toBe(parseAddress(url).name)
  })

  test.each([
    ['esdb://', 'name hosts'],
    ['esdb:/ann:pass@localhost', 'be esdb://'],
    ['esdb://ann:pass@localhost/ledger', 'be esdb://'],
    ['esdb://ann:pass@localhost:port', 'name hosts'],
    ['esdb://ann:pass@localhost,', 'name hosts'],
    ['esdb://ann:pass@_node', 'name hosts'],
    ['esdb://ann:pa/ss@localhost', 'be esdb://'],
    ['esdb://ann:pass@localhost\n', 'name hosts'],
    ['esdb://localhost', 'name a user and a password, or say tls=false'],
    ['esdb+discover://cluster.internal', 'name a user and a password, or say tls=false'],
    ['esdb://ann@localhost', 'give user and password'],
    ['esdb://ann:@localhost', 'give user and password'],
    ['esdb://ann:pass:word@localhost', 'give user and password'],
    ['esdb://ann:p@ss@localhost', 'give user and password'],
    ['esdb://ann:pa ss@localhost', 'give user and password'],
    ['esdb://ann:100%@localhost', 'percent-encoded'],
    ['esdb://ann:%ff@localhost', 'percent-encoded'],
    ['esdb+discover://ann:pass@node1,node2', 'name one host with esdb+discover'],
    ['esdb://localhost?tls', 'give tls as true or false'],
    ['esdb://localhost?tls=no', 'give tls as true or false'],
    ['esdb://localhost?tls=false&', 'not known'],
    ['esdb://ann:pass@localhost?', 'not known'],
    ['esdb://localhost?tls=false&throwOnAppendFailure=false', 'not known'],
    ['esdb://localhost?tls=false&pass=word', 'not known'],
    ['esdb://ann:pass@localhost?tlsVerifyCert=false', 'tlsCAFile'],
    ['esdb://ann:pass@localhost?tlsCAFile=a?b', 'give tlsCAFile as'],
    ['esdb://ann:pass@localhost?tlsCAFile=%ff', 'have tlsCAFile percent-encoded'],
    ['esdb://ann:pass@localhost?userCertFile=/a.crt', 'userCertFile and userKeyFile together'],
    ['esdb://ann:pass@localhost?defaultDeadline=6001', 'give defaultDeadline as milliseconds, 1 to 6000'],
    ['esdb://ann:pass@localhost?keepAliveInterval=-1', 'give keepAliveInterval as a positive whole number'],
  ])('%j is refused by the configuration and the store alike, and not repeated', (url, rule) => {
    const { problems } = read({ BROKER_LEDGER_URL: url })
    expect(problems).toEqual([expect.stringContaining(rule)])
    expect(problems[0]).toMatch(
      /^BROKER_LEDGER_URL \(value not shown, it may hold a password\): expected it to /,
    )
    expect(isTakenByStore(url)).toBe(false)
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
    ['http://127.0.0.1:8091', '127.0.0.1/ledger'],
    ['http://[::1]:8091', '[::1]/ledger'],
    ['https://broker.example.com:8443/a:1/b', 'broker.example.com/a:1/b/ledger'],
  ])('of %s is %s', (issuer, origin) => {
    expect(read({}, issuer).ledger.origin).toBe(origin)
  })

  test('of before, with the port in it, is known where the default is used', () => {
    const issuer = 'http://127.0.0.1:8091'
    expect(read({}, issuer).ledger.formerOrigin).toBe('127.0.0.1:8091/ledger')
    expect(read({}, 'https://broker.example.com').ledger).not.toHaveProperty('formerOrigin')
    expect(read({ BROKER_LEDGER_ORIGIN: 'mine' }, issuer).ledger).not.toHaveProperty('formerOrigin')
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
