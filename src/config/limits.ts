import type { LimitsPerMinute } from '../domain/mint-limits.js'
import { type Environment, wholeNumber } from './environment.js'

/** Off by default: how much is too much depends on the fleet. */
export function readLimits(env: Environment): LimitsPerMinute {
  const mints = wholeNumber(1, 1_000_000, 'mints a minute')
  return {
    wallet: env.read('BROKER_LIMIT_WALLET_PER_MINUTE', mints, undefined),
    session: env.read('BROKER_LIMIT_SESSION_PER_MINUTE', mints, undefined),
    broker: env.read('BROKER_LIMIT_BROKER_PER_MINUTE', mints, undefined),
  }
}
