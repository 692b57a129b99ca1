// What must be behind an entry before the credential it announces is handed out.

/**
 * durable    the entry is durable in the ledger
 * witnessed  the policy's witnesses have cosigned a checkpoint that covers it, too: from then on no party, not even the
 *            operator with the ledger's key, can show a history without it and be believed
 */
export type ReleaseLevel = 'durable' | 'witnessed'

/** A class, so that Nest can hand it out by type. */
export abstract class ReleasePolicy {
  /** What every mint needs. */
  abstract readonly requires: ReleaseLevel
  /** What needs witnesses whatever `requires` says. Compared as whole strings. */
  abstract readonly witnessedRoles: readonly string[]
  abstract readonly witnessedAudiences: readonly string[]
}

/** What is granted. `roleArn` undefined: a JWT that is bound to no role. */
export interface Release {
  audience: string
  roleArn: string | undefined
}

export function releaseLevel({ audience, roleArn }: Release, policy: ReleasePolicy): ReleaseLevel {
  if (policy.requires === 'witnessed') return 'witnessed'
  if (policy.witnessedAudiences.includes(audience)) return 'witnessed'
  // A JWT bound to no role is good for every role that trusts the issuer, so for the ones listed here too.
  const forListedRole =
    roleArn === undefined ? policy.witnessedRoles.length > 0 : policy.witnessedRoles.includes(roleArn)
  return forListedRole ? 'witnessed' : 'durable'
}
