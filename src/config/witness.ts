// Who witnesses the ledger, and what must not be handed out before they have.

import { STS_AUDIENCE, type MintPolicy } from '../domain/mint.js'
import type { ReleasePolicy } from '../domain/release.js'
import { type Environment, oneOf, type Parse, path, InvalidSettingError, wholeNumber } from './environment.js'
import type { Variable } from './variables.js'

/** none: no witness is asked, and no release waits. */
export type WitnessConfig =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'policy'
      readonly policyPath: string
      /** How old a cosignature gets before an idle ledger asks for one with a new time. */
      readonly refreshSeconds: number
      /** How long a mint waits for the quorum. */
      readonly timeoutSeconds: number
      /** Least time between two requests to a witness while a mint waits. */
      readonly gapMs: number
    }

const ONLY_WITH_POLICY = [
  'BROKER_WITNESS_REFRESH_SECONDS',
  'BROKER_WITNESS_TIMEOUT_SECONDS',
  'BROKER_WITNESS_GAP_MS',
] as const

export interface Witnessing {
  witness: WitnessConfig
  release: ReleasePolicy
}

export function readWitnessing(env: Environment, policy: MintPolicy): Witnessing {
  const policyPath = env.read('BROKER_WITNESS_POLICY', path, undefined)
  const refreshSeconds = env.read('BROKER_WITNESS_REFRESH_SECONDS', wholeNumber(60, 86_400, 'seconds'), 3600)
  const timeoutSeconds = env.read('BROKER_WITNESS_TIMEOUT_SECONDS', wholeNumber(1, 120, 'seconds'), 10)
  const gapMs = env.read('BROKER_WITNESS_GAP_MS', wholeNumber(10, 1000, 'milliseconds'), 100)
  const release = readRelease(env, policy)
  if (policyPath !== undefined) {
    return { witness: { kind: 'policy', policyPath, refreshSeconds, timeoutSeconds, gapMs }, release }
  }
  // A policy that is there but malformed is a problem already.
  if (!env.has('BROKER_WITNESS_POLICY')) checkNothingNeedsWitnesses(env, release)
  return { witness: { kind: 'none' }, release }
}

/** Whether any mint waits for witnesses: then the policy must have a quorum. */
export function isGated({ requires, witnessedRoles, witnessedAudiences }: ReleasePolicy): boolean {
  return requires === 'witnessed' || witnessedRoles.length > 0 || witnessedAudiences.length > 0
}

function readRelease(env: Environment, policy: MintPolicy): ReleasePolicy {
  const roles = [...(policy.dataRoleArn === undefined ? [] : [policy.dataRoleArn]), ...policy.allowedRoleArns]
  const audiences = [STS_AUDIENCE, ...policy.allowedAudiences]
  return {
    requires: env.read('BROKER_RELEASE_REQUIRES', oneOf('durable', 'witnessed'), 'durable'),
    witnessedRoles: env.read(
      'BROKER_WITNESSED_ROLES',
      someOf(roles, 'roles that may be asked for: the data role, or in BROKER_ALLOWED_ROLE_ARNS'),
      [],
    ),
    witnessedAudiences: env.read(
      'BROKER_WITNESSED_AUDIENCES',
      someOf(audiences, `audiences that may be asked for: ${STS_AUDIENCE}, or in BROKER_ALLOWED_AUDIENCES`),
      [],
    ),
  }
}

/** A name that nothing can match would leave unguarded what it was meant for. */
function someOf(known: readonly string[], what: string): Parse<readonly string[]> {
  return (text) => {
    if (text.trim() === '') return []
    const items = text.split(',').map((item) => item.trim())
    const bad = items.flatMap((item, i) => (known.includes(item) ? [] : [i + 1]))
    if (bad.length > 0)
      throw new InvalidSettingError(`a comma-separated list of ${what}`, `correct item ${bad.join(' and ')}`)
    return [...new Set(items)]
  }
}

function checkNothingNeedsWitnesses(
  env: Environment,
  { requires, witnessedRoles, witnessedAudiences }: ReleasePolicy,
): void {
  const asking: [Variable, boolean][] = [
    ['BROKER_RELEASE_REQUIRES', requires === 'witnessed'],
    ['BROKER_WITNESSED_ROLES', witnessedRoles.length > 0],
    ['BROKER_WITNESSED_AUDIENCES', witnessedAudiences.length > 0],
  ]
  for (const [name, asks] of asking) {
    if (asks) env.problems.push(`${name} asks for witnesses, and there are none: set BROKER_WITNESS_POLICY`)
  }
  for (const name of ONLY_WITH_POLICY) {
    if (env.has(name)) env.warnings.push(`${name} has no effect without BROKER_WITNESS_POLICY`)
  }
}
