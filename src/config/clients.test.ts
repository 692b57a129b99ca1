import { describe, expect, test } from '@jest/globals'

import { config, problems } from '../../test/support/config-reading.js'
import { sessionUrlOf } from './clients.js'

const LOCAL = { BROKER_OIDC_ISSUER: 'http://127.0.0.1:8091' }
const HOSTED = { BROKER_OIDC_ISSUER: 'https://broker.example.com' }

describe('the session backend that clients are given', () => {
  test.each([
    ['a local broker names its own', LOCAL, 'http://127.0.0.1:8090'],
    ['IPv6 in brackets', { ...LOCAL, BROKER_SESSION_BIND: '[::1]:9' }, 'http://[::1]:9'],
    ['a hosted broker does not name its loopback address', HOSTED, undefined],
    ['port 0 is not known yet', { ...LOCAL, BROKER_SESSION_BIND: '127.0.0.1:0' }, undefined],
    [
      'one for several brokers',
      { ...HOSTED, BROKER_BACKEND_URL: 'https://s.example.com' },
      'https://s.example.com',
    ],
    [
      'one of an inner network is not named',
      { ...HOSTED, BROKER_BACKEND_URL: 'http://sessions:8090' },
      undefined,
    ],
    [
      'what the operator names comes first',
      { ...HOSTED, BROKER_BACKEND_URL: 'http://sessions:8090', BROKER_SESSION_URL: 'https://s.example.com/' },
      'https://s.example.com',
    ],
  ])('%s', (_, variables, url) => {
    expect(sessionUrlOf(config(variables))).toBe(url)
  })

  test.each([['http://s.example.com'], ['https://s.example.com/sessions'], ['s.example.com']])(
    '%s is refused',
    (url) => {
      expect(problems({ BROKER_SESSION_URL: url })).toHaveLength(1)
    },
  )
})

test('bucket and mail domain have the form of one', () => {
  expect(
    config({ BROKER_DATA_BUCKET: 'agentkeys-data', BROKER_MAIL_DOMAIN: 'Mail.example.com' }).clients,
  ).toEqual({
    bucket: 'agentkeys-data',
    mailDomain: 'mail.example.com',
  })
  expect(problems({ BROKER_DATA_BUCKET: 's3://x', BROKER_MAIL_DOMAIN: 'a@b.example' })).toHaveLength(2)
})
