import { describe, expect, test } from '@jest/globals'

import { config, problems, warnings } from '../../test/support/config-reading.js'
import { isExposed } from './clients.js'

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
  ])('embedded, is exposed on %s, and needs the URL that wallets sign for', (bind) => {
    expect(problems({ BROKER_SESSION_BIND: bind })).toEqual([
      `BROKER_SESSION_BIND="${bind}": expected a loopback address, or BROKER_SESSION_URL beside it; use 127.0.0.1:8090, or set BROKER_SESSION_URL to the https origin of the proxy in front of it`,
    ])
    const { backend, clients } = config({
      BROKER_SESSION_BIND: bind,
      BROKER_SESSION_URL: 'https://s.example.com',
    })
    expect(backend.kind === 'embedded' && isExposed(backend.bind, clients)).toBe(true)
  })

  test.each([
    [{}, false],
    [{ BROKER_SESSION_URL: 'http://localhost:9000' }, false],
    [{ BROKER_SESSION_URL: 'https://s.example.com' }, true],
  ])('embedded on loopback with %j, exposed: %s', (variables, exposed) => {
    const { backend, clients } = config(variables)
    expect(backend.kind === 'embedded' && isExposed(backend.bind, clients)).toBe(exposed)
  })

  test("embedded, never shares the broker's port", () => {
    expect(problems({}, { port: 8090 })).toHaveLength(1)
    expect(problems({ BROKER_SESSION_BIND: '[::1]:8091' })).toHaveLength(1)
  })
})
