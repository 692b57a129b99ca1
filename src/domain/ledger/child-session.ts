// A child session: what it is for, and whose it is. The decision and the verifier read the same rules.

import { STS_AUDIENCE } from './audience.js'

/** A child is never wider than its parent. */
export interface Scope {
  readonly services: readonly string[]
  readonly readOnly: boolean
}

export interface ParentSession {
  readonly wallet: string
  readonly tokenSha256: string
}

export interface ChildSession extends Scope {
  /** Nearest first, up to the session that has no parent; empty where the session backend names none. */
  readonly parents: readonly ParentSession[]
}

/** How many sessions may be above one. An entry has room for so many, and cutting one off looks at all of them. */
export const MOST_PARENTS = 8

export const MOST_SERVICES = 64

export const SERVICE = /^[A-Za-z0-9._:-]{1,64}$/

/** The service that tokens for STS and AWS credentials belong to. */
export const AWS_SERVICE = 'aws'

/** Whether a scope with `services` is for this audience: AWS has a name of its own, any other audience is its own name. */
export function isForAudience({ services }: Scope, audience: string): boolean {
  if (audience === STS_AUDIENCE) return services.includes(AWS_SERVICE)
  // An audience that is called aws is not AWS.
  return audience !== AWS_SERVICE && services.includes(audience)
}
