// What readConfig makes of an environment, for tests of settings.

import { type Config, type ConfigReading, type Flags, readConfig } from '../../src/config.js'
import type { Variables } from '../../src/config/environment.js'

export const ISSUER = 'https://broker.example.com'
export const FLAGS: Flags = { port: 8091, bind: '127.0.0.1', skipStartupCheck: false, insecureLedger: false }
/** With these there is nothing to warn of. */
const QUIET = { HOME: '/home/ann', BROKER_OIDC_ISSUER: ISSUER }

export function read(variables: Variables, flags: Partial<Flags> = {}): ConfigReading {
  return readConfig({ ...QUIET, ...variables }, { ...FLAGS, ...flags })
}

export function config(variables: Variables, flags: Partial<Flags> = {}): Config {
  const reading = read(variables, flags)
  if ('problems' in reading) throw new Error(reading.problems.join('\n'))
  return reading.config
}

export function problems(variables: Variables, flags: Partial<Flags> = {}): readonly string[] {
  const reading = read(variables, flags)
  if ('config' in reading) throw new Error('expected problems, got a config')
  return reading.problems
}

export function warnings(variables: Variables, flags: Partial<Flags> = {}): readonly string[] {
  return read(variables, flags).warnings
}
