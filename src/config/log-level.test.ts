import { describe, expect, test } from '@jest/globals'

import { type Config, readConfig } from '../config.js'
import type { Variables } from './environment.js'

const QUIET = { HOME: '/home/ann', BROKER_OIDC_ISSUER: 'https://broker.example.com' }
const FLAGS = { port: 8091, bind: '127.0.0.1', skipStartupCheck: false, insecureLedger: false }

const read = (variables: Variables) => readConfig({ ...QUIET, ...variables }, FLAGS)

function config(variables: Variables): Config {
  const reading = read(variables)
  if ('problems' in reading) throw new Error(reading.problems.join('\n'))
  return reading.config
}

const warnings = (variables: Variables) => read(variables).warnings

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
