// The packed size: how much of a session's one budget its policy, policy ARNs and tags use up.

import { deflateRawSync } from 'node:zlib'

import { StsError } from './errors.js'
import type { Ask } from './parameters.js'
import type { SessionTags } from './session-tags.js'

// AWS publishes neither its packed form nor the limit. What holds for any such scheme: there is a limit, it is in per
// cent, and it can be met before any of the single limits is. No test may rely on a percentage.
const LIMIT_BYTES = 2048

/** Per cent of the budget, rounded up; 0 when nothing was passed. Throws PackedPolicyTooLarge over 100. */
export function packedSize(
  { policy, policyArns }: Pick<Ask, 'policy' | 'policyArns'>,
  { tags }: SessionTags,
): number {
  if (policy === undefined && policyArns.length === 0 && tags.size === 0) return 0
  const packed = deflateRawSync(JSON.stringify([policy, policyArns, ...tags]))
  const percent = Math.ceil((100 * packed.length) / LIMIT_BYTES)
  if (percent > 100) {
    const what =
      policy === undefined && policyArns.length === 0 ? 'session tags' : 'session policy and session tags'
    throw new StsError(
      'PackedPolicyTooLarge',
      `Packed size of ${what} consumes ${percent}% of allotted space.`,
    )
  }
  return percent
}
