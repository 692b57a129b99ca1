import { describe, expect, test } from '@jest/globals'

import { config, warnings } from '../../test/support/config-reading.js'

describe('the log level', () => {
  test('BROKER_LOG, else RUST_LOG, else info', () => {
    expect(config({ BROKER_LOG: 'debug', RUST_LOG: 'nonsense' }).logLevel).toBe('debug')
    expect(config({ RUST_LOG: 'WARN' }).logLevel).toBe('warn')
    expect(config({ RUST_LOG: '' }).logLevel).toBe('info')
    expect(config({ BROKER_LOG: 'off' }).logLevel).toBe('silent')
  })

  test.each([
    ['agentkeys=trace,warn', 'warn'],
    ['hyper,debug,info', 'debug'],
    ['agentkeys_broker=debug', 'debug'],
  ])('RUST_LOG=%s means %s, with a warning', (filter, level) => {
    expect(config({ RUST_LOG: filter }).logLevel).toBe(level)
    expect(warnings({ RUST_LOG: filter })).toEqual([
      `RUST_LOG holds a filter by target, which has no meaning here: "${level}" is taken from it; set BROKER_LOG to one level`,
    ])
  })
})
