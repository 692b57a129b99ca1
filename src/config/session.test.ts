import { describe, expect, test } from '@jest/globals'

import { config, problems, warnings } from '../../test/support/config-reading.js'

describe('the session backend', () => {
  test('is the one at BROKER_BACKEND_URL if that is set, without trailing slashes', () => {
    expect(config({ BROKER_BACKEND_URL: 'http://127.0.0.1:8090/' }).backend).toEqual({
      kind: 'http',
      url: 'http://127.0.0.1:8090',
      timeoutSeconds: 10,
    })
  })

  test.each([['http://10.0.0.1'], ['http://backend:8090/base']])('over %s is a warning', (url) => {
    expect(warnings({ BROKER_BACKEND_URL: url })).toEqual([
      `BROKER_BACKEND_URL=${url}: session bearers cross the network in clear; use https`,
    ])
  })

  test('makes BROKER_SESSION_BIND useless, which is a warning', () => {
    expect(warnings({ BROKER_BACKEND_URL: 'https://b', BROKER_SESSION_BIND: '127.0.0.1:1' })).toEqual([
      'BROKER_SESSION_BIND has no effect: with BROKER_BACKEND_URL there is no embedded session backend',
    ])
  })

  test.each([
    ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
    ['127.9.9.9:9', { host: '127.9.9.9', port: 9 }],
    ['[::1]:8090', { host: '::1', port: 8090 }],
    ['localhost:8090', { host: 'localhost', port: 8090 }],
  ])('embedded, listens on %s', (bind, address) => {
    expect(config({ BROKER_SESSION_BIND: bind }).backend).toEqual({ kind: 'embedded', bind: address })
  })

  test.each([
    ['0.0.0.0:8090'],
    ['[::]:8090'],
    ['10.0.0.1:8090'],
    ['sessions.internal:8090'],
    ['localhost.evil.com:1'],
  ])('embedded, is refused on %s, where others can get themselves a session', (bind) => {
    expect(problems({ BROKER_SESSION_BIND: bind })).toEqual([
      `BROKER_SESSION_BIND="${bind}": expected a loopback address, since whoever reaches it gets a session; use 127.0.0.1:8090, or a session backend of your own with BROKER_BACKEND_URL`,
    ])
  })

  test("embedded, never shares the broker's port", () => {
    expect(problems({}, { port: 8090 })).toHaveLength(1)
    expect(problems({ BROKER_SESSION_BIND: '[::1]:8091' })).toHaveLength(1)
  })
})
