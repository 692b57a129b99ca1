// The options by which a command says what it wants minted.

import type { CredentialsAsk } from '../client/broker-client.js'

import { UsageError, type Values } from './command.js'

export function askOf(values: Values): CredentialsAsk {
  const role = values['role']
  const seconds = secondsOf(values, 'duration')
  return {
    ...(typeof role === 'string' ? { role } : {}),
    ...(seconds === undefined ? {} : { durationSeconds: seconds }),
  }
}

/** The option's value in seconds; undefined where it was not given. Throws UsageError. */
export function secondsOf(values: Values, option: string): number | undefined {
  const value = values[option]
  if (value === undefined) return undefined
  if (typeof value === 'string' && /^[1-9]\d{0,6}$/.test(value)) return Number(value)
  throw new UsageError(`--${option}: a number of seconds`)
}
