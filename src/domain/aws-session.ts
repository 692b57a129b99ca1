// What an AWS session is called and tagged with, so that CloudTrail, an IAM policy and the ledger speak of the same thing.
// The limits are AWS's (IAM User Guide, "Pass session tags in AWS STS"; STS API Reference, AssumeRole).

import { WALLET_TAG } from './mint.js'

export interface SessionTags {
  tags: Record<string, string>
  /** Kept when the session assumes a further role, where they cannot be set again. */
  transitiveTagKeys: string[]
}

/** The mint's id is in every CloudTrail line of the session. */
export function roleSessionName(mintId: string): string {
  return checkName('RoleSessionName', `ak-${mintId}`)
}

export function sourceIdentity(wallet: string): string {
  return checkName('SourceIdentity', wallet)
}

export function walletTags(wallet: string): SessionTags {
  return checkSessionTags({ tags: { [WALLET_TAG]: wallet }, transitiveTagKeys: [WALLET_TAG] })
}

export function checkSessionTags({ tags, transitiveTagKeys }: SessionTags): SessionTags {
  const keys = Object.keys(tags)
  if (keys.length > 50) throw new RangeError('AWS takes at most 50 session tags')
  // Keys that differ only in case are one key to IAM.
  if (new Set(keys.map((key) => key.toLowerCase())).size !== keys.length)
    throw new RangeError('two session tag keys differ only in case')
  for (const key of keys) {
    if (!isTagText(key, 128) || key === '')
      throw new RangeError(`not a session tag key: ${JSON.stringify(key)}`)
    if (/^aws:/i.test(key)) throw new RangeError('a session tag key must not begin with aws:')
    if (!isTagText(tags[key] ?? '', 256)) throw new RangeError(`not a session tag value: that of ${key}`)
  }
  for (const key of transitiveTagKeys)
    if (!Object.hasOwn(tags, key))
      throw new RangeError(`a transitive tag that is not set: ${JSON.stringify(key)}`)
  return { tags, transitiveTagKeys }
}

function isTagText(text: string, longest: number): boolean {
  return text.length <= longest && /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u.test(text)
}

function checkName(field: string, name: string): string {
  if (/^[\w+=,.@-]{2,64}$/.test(name) && !/^aws:/i.test(name)) return name
  throw new RangeError(`${field} must be 2 to 64 of [A-Za-z0-9_+=,.@-]`)
}
