// Entities that no mint can ever have. A forbid of one would be silent for ever, and its author believes it holds.

const WALLET = /^0x[0-9a-f]{40}$/
const ROLE = /^arn:aws[a-z-]*:iam::\d{12}:role\/[\x21-\x7e]+$/
const AUDIENCE = /^[\x21-\x29\x2b-\x7e]{1,255}$/

const FORM: Record<string, [form: RegExp, what: string]> = {
  Wallet: [WALLET, '0x and 40 lower-case hex digits'],
  Role: [ROLE, 'the whole ARN of a role: there are no wildcards'],
  Audience: [AUDIENCE, 'visible ASCII: there are no wildcards'],
}

/** Of a policy as JSON: what is wrong with the first such entity in it. */
export function impossibleEntity(policy: unknown): string | undefined {
  if (typeof policy !== 'object' || policy === null) return undefined
  const { type, id } = policy as { type?: unknown; id?: unknown }
  if (typeof type === 'string' && typeof id === 'string') {
    const known = FORM[type]
    if (known && !known[0].test(id))
      return `${type}::${JSON.stringify(id)} is never in a mint: it must be ${known[1]}`
  }
  for (const member of Object.values(policy)) {
    const found = impossibleEntity(member)
    if (found !== undefined) return found
  }
  return undefined
}
