// The condition keys that are known here, of each kind of policy. Another is an error when the policy is loaded: to pass
// over it would be to evaluate another policy.
// IAM User Guide, "AWS global condition context keys"; Service Authorization Reference, STS, S3 and SES.

export type PolicyKind = 'trust' | 'identity' | 'resource'

const TRUST_KEYS = [
  'aws:FederatedProvider',
  'aws:PrincipalAccount',
  'aws:PrincipalArn',
  'sts:ExternalId',
  'sts:RoleAuthorizedByIdp',
  'sts:RoleSessionName',
  'sts:SourceIdentity',
]
const PERMISSION_KEYS = [
  'aws:PrincipalAccount',
  'aws:PrincipalArn',
  'aws:SourceAccount',
  'aws:SourceArn',
  'aws:SourceIdentity',
  's3:delimiter',
  's3:max-keys',
  's3:prefix',
  'ses:FromAddress',
]
const TAG_KEYS: Record<PolicyKind, readonly string[]> = {
  trust: ['aws:RequestTag/', 'aws:PrincipalTag/'],
  identity: ['aws:PrincipalTag/'],
  resource: ['aws:PrincipalTag/'],
}
const LIST_KEYS: Record<PolicyKind, readonly string[]> = {
  trust: ['aws:TagKeys', 'sts:TransitiveTagKeys'],
  identity: ['ses:Recipients'],
  resource: ['ses:Recipients'],
}
/** All that IAM shows of a token from an issuer of one's own. Every other claim is invisible to a trust policy. */
const ISSUER_KEYS = ['aud', 'email', 'oaud', 'sub']
const ISSUER_LIST_KEYS = ['amr']

/** `issuers` are the OIDC providers' names (issuer URLs without the scheme). */
export function keyProblem(
  kind: PolicyKind,
  key: string,
  issuers: readonly string[],
  hasManyValues: boolean,
): string | undefined {
  const single = kind === 'trust' ? [...TRUST_KEYS, ...ofIssuers(issuers, ISSUER_KEYS)] : PERMISSION_KEYS
  const many = [...LIST_KEYS[kind], ...(kind === 'trust' ? ofIssuers(issuers, ISSUER_LIST_KEYS) : [])]
  const lower = key.toLowerCase()
  const isOne = (names: readonly string[]) => names.some((name) => name.toLowerCase() === lower)
  if (isOne(many))
    return hasManyValues ? undefined : 'the key has many values: use ForAllValues: or ForAnyValue:'
  const isTag = TAG_KEYS[kind].some(
    (prefix) => lower.startsWith(prefix.toLowerCase()) && lower.length > prefix.length,
  )
  if (isTag || isOne(single)) return undefined
  return `unknown condition key: use one of ${[...single, ...TAG_KEYS[kind], ...many].join(', ')}`
}

function ofIssuers(issuers: readonly string[], names: readonly string[]): string[] {
  return issuers.flatMap((issuer) => names.map((name) => `${issuer}:${name}`))
}
