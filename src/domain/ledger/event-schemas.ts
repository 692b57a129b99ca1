// The members of each event, exactly, and the form of each. docs/ledger-format.md, "The events".

import { ROLE_ARN_SHAPE } from './aws-role.js'
import type { Json } from './canonical.js'
import { MOST_PARENTS, MOST_SERVICES, type ParentSession, SERVICE } from './child-session.js'
import type {
  AdoptedKey,
  CredsFailureCode,
  CutOffKind,
  EventData,
  EventType,
  JwtPurpose,
  MintKind,
  PolicyVerdict,
  PublicJwk,
  RefusalReason,
} from './events.js'
import { isOnCurve } from './jwk.js'
import { signatureBytes, type SignedKeyState } from './ledger-signature.js'
import { parseVkey } from './note.js'
import { MOST_POLICIES, POLICY_ID } from './policy-rules.js'
import { FormatError } from './encoding.js'

/** Whether `type` is one of ours. A member of Object.prototype is not. */
export function isEventType(type: string): type is EventType {
  return Object.hasOwn(MEMBERS, type)
}

/** Why `data` is not the data of `type`; undefined when it is. */
export function schemaProblem(
  type: EventType,
  data: { readonly [member: string]: Json },
): string | undefined {
  return membersProblem(MEMBERS[type], data)
}

/**
 * The name of a member whose value a later version may have added to a set that grows: reasons, codes, kinds. Such data
 * has its shape, and a broker or verifier of this version takes it for what it is otherwise.
 */
export function unknownValue(type: EventType, data: { readonly [member: string]: Json }): string | undefined {
  for (const { name, form } of GROWING[type]) if (!form.known?.has(data[name] as string)) return name
  return undefined
}

interface Form {
  /** What it should be, as in "wallet must be …". */
  what: string
  holds: (value: Json) => boolean
  /** Of a set that later versions may add to. */
  known?: ReadonlySet<string>
  optional: boolean
}

interface Required extends Form {
  optional: false
}

interface Optional extends Form {
  optional: true
}

/** Every member of T and no other, required where T requires it: the compiler holds the table to events.ts. */
type Shape<T> = { [M in keyof T]-?: undefined extends T[M] ? Optional : Required }

interface Member {
  name: string
  form: Form
}

function membersProblem(
  members: readonly Member[],
  data: { readonly [member: string]: Json },
): string | undefined {
  let present = 0
  for (const { name, form } of members) {
    const value = data[name]
    if (value === undefined) {
      if (form.optional) continue
      return `${name} is missing: it must be ${form.what}`
    }
    if (!form.holds(value)) return `${name} must be ${form.what}`
    present += 1
  }
  for (const _ in data) present -= 1
  return present === 0
    ? undefined
    : `the members must be ${members.map((member) => member.name).join(', ')} and no more`
}

const form = (what: string, holds: (value: Json) => boolean): Required => ({ what, holds, optional: false })

const optional = ({ what, holds }: Form): Optional => ({ what, holds, optional: true })

/** The entries of one mint repeat its id and its wallet: what passed last is known at a glance. */
const pattern = (what: string, pattern: RegExp): Required => {
  let last: string | undefined
  return form(what, (value) => {
    if (typeof value !== 'string') return false
    if (value === last) return true
    if (!pattern.test(value)) return false
    last = value
    return true
  })
}

const anyOf = <T extends string>(set: Record<T, true>): Required =>
  form(
    `one of ${Object.keys(set).join(', ')}`,
    (value) => typeof value === 'string' && Object.hasOwn(set, value),
  )

/** A set that later versions may add to: any word has the shape, and `unknownValue` names those that are not in it. */
const growing = <T extends string>(set: Record<T, true>): Required => {
  const known = new Set(Object.keys(set))
  const holds = (value: Json): boolean =>
    typeof value === 'string' && (known.has(value) || /^[a-z][a-z0-9_-]{0,63}$/.test(value))
  return { ...form(`one of ${[...known].join(', ')}, or a word of a later version`, holds), known }
}

// Entries hold no numbers but safe integers, so the bounds are all there is to check.
const integer = (what: string, least: number, most: number): Required =>
  form(what, (value) => typeof value === 'number' && value >= least && value <= most)

const text = form('a string', (value) => typeof value === 'string')
const name = form('a string that is not empty', (value) => typeof value === 'string' && value !== '')
const wallet = pattern('0x and 40 lower-case hex digits', /^0x[0-9a-f]{40}$/)
const sha256 = pattern('64 lower-case hex digits', /^[0-9a-f]{64}$/)
const mintId = pattern(
  'a UUIDv7 in lower case',
  /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
)
const roleArn = pattern('the ARN of an IAM role', ROLE_ARN_SHAPE)
const nameOrNull = form('a string that is not empty, or null', (value) => value === null || name.holds(value))
const sessionName = pattern('a role session name', /^[\w+=,.@-]{2,64}$/)
const accessKeyId = pattern('an access key id', /^\w{16,128}$/)
const unixSeconds = integer('unix seconds', 0, Number.MAX_SAFE_INTEGER)
/** What AWS STS accepts for any role. */
const durationSeconds = integer('900 to 43200 seconds', 900, 43_200)
const vkey = form('the vkey of an Ed25519 key', (value) => {
  try {
    return typeof value === 'string' && parseVkey(value).type === 'ed25519'
  } catch (error) {
    if (error instanceof FormatError) return false
    throw error
  }
})
const coordinate = pattern('32 bytes in base64url', /^[A-Za-z0-9_-]{43}$/)
const es256 = anyOf({ ES256: true })

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z$/
const time = form('RFC 3339 in UTC', (value) => {
  if (typeof value !== 'string' || !TIME.test(value)) return false
  // Date rolls 30 February over into March; what was read must print as it was written.
  const read = new Date(value)
  return !Number.isNaN(read.getTime()) && read.toISOString().slice(0, 19) === value.slice(0, 19)
})

const isObject = (value: Json): value is { readonly [member: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const jwkMembers = listed<PublicJwk>({
  kty: anyOf({ EC: true }),
  crv: anyOf({ 'P-256': true }),
  x: coordinate,
  y: coordinate,
  kid: name,
  alg: es256,
  use: anyOf({ sig: true }),
})
const jwk = form(
  'the public half of an ES256 key, a point of P-256, and nothing else',
  (value) =>
    isObject(value) &&
    membersProblem(jwkMembers, value) === undefined &&
    isOnCurve(value as unknown as PublicJwk),
)

const signature = form(
  'an Ed25519 signature in base64',
  (value) => typeof value === 'string' && signatureBytes(value) !== undefined,
)
const signedKeyState = anyOf<SignedKeyState>({
  published: true,
  activated: true,
  retired: true,
  revoked: true,
})
const adoptedKey = listed<AdoptedKey>({ kid: name, state: signedKeyState, signature })
const adoptedKeys = form(
  'a list of keys, each with kid, state and signature',
  (value) =>
    Array.isArray(value) &&
    (value as Json[]).every((key) => isObject(key) && membersProblem(adoptedKey, key) === undefined),
)
const keySigned = { signature: optional(signature) }

const services = form(
  `a list of at most ${MOST_SERVICES} names of services`,
  (value) =>
    Array.isArray(value) &&
    value.length <= MOST_SERVICES &&
    (value as Json[]).every((service) => typeof service === 'string' && SERVICE.test(service)),
)
const parentSession = listed<ParentSession>({ wallet, tokenSha256: sha256 })
const parents = form(
  `a list of at most ${MOST_PARENTS} sessions, each with wallet and tokenSha256`,
  (value) =>
    Array.isArray(value) &&
    value.length <= MOST_PARENTS &&
    (value as Json[]).every((each) => isObject(each) && membersProblem(parentSession, each) === undefined),
)

const policyIds = form(
  `a list of at most ${MOST_POLICIES} ids: 1 to 64 letters, digits, dots, dashes and underscores each`,
  (value) =>
    Array.isArray(value) &&
    value.length <= MOST_POLICIES &&
    (value as Json[]).every((id) => typeof id === 'string' && POLICY_ID.test(id)),
)

const counts = form(
  'a positive count for each reason',
  (value) => isObject(value) && Object.values(value).every((n) => typeof n === 'number' && n > 0),
)

const mintKind = growing<MintKind>({ oidc_jwt: true, aws_creds: true })
const purpose = growing<JwtPurpose>({ oidc_jwt: true, sts: true })
const refusalReason = growing<RefusalReason>({
  'role-not-allowed': true,
  'aws-not-configured': true,
  'audience-not-allowed': true,
  'ttl-out-of-bounds': true,
  'duration-out-of-bounds': true,
  'service-not-in-scope': true,
  'read-only-session': true,
  'cut-off': true,
  'no-grant': true,
  'policy-denied': true,
  'policy-error': true,
  'approval-required': true,
  'approval-denied': true,
  'too-many-approvals': true,
})
const policyVerdict = growing<PolicyVerdict>({ allow: true, deny: true, error: true })
const failureCode = growing<CredsFailureCode>({
  'access-denied': true,
  'invalid-identity-token': true,
  'key-retrieval-failed': true,
  'expired-token': true,
  'idp-rejected-claim': true,
  'idp-communication-error': true,
  'packed-policy-too-large': true,
  'malformed-policy': true,
  'region-disabled': true,
  'broker-credentials-refused': true,
  throttled: true,
  'validation-error': true,
  timeout: true,
  unreachable: true,
  'empty-response': true,
  'credentials-unusable': true,
  'cut-off': true,
  'session-not-valid': true,
  unexpected: true,
})

const grantId = pattern(
  'grn- and a UUIDv7',
  /^grn-[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
)
const grantor = pattern('operator, or a wallet', /^(?:operator|0x[0-9a-f]{40})$/)
const actions = form('a list of kinds of mints, none twice', (value) => isSet(value, 8, 64))
const resources = form('a list of 1 to 64 roles and audiences, none twice', (value) =>
  isSet(value, 64, 2_048),
)

function isSet(value: Json, most: number, longest: number): boolean {
  return (
    Array.isArray(value) &&
    value.length >= 1 &&
    value.length <= most &&
    new Set(value).size === value.length &&
    (value as Json[]).every((one) => typeof one === 'string' && one !== '' && one.length <= longest)
  )
}

const approvalId = pattern(
  'apr- and a UUIDv7',
  /^apr-[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
)
const walletSignature = pattern('an EIP-191 signature: 0x and 130 hex digits', /^0x[0-9a-f]{130}$/)
const decided = {
  approvalId,
  askSha256: sha256,
  by: grantor,
  reason: optional(name),
  signature: optional(walletSignature),
}

const cutOffKind = growing<CutOffKind>({ wallet: true, session: true, mint: true, role: true })
const cutOff = { kind: cutOffKind, target: name, reason: optional(name) }

const MEMBERS: { readonly [T in EventType]: readonly Member[] } = {
  LedgerOpened: listed<EventData['LedgerOpened']>({ origin: name, vkey, software: name }),
  LedgerAdopted: listed<EventData['LedgerAdopted']>({
    from: integer('an index', 0, Number.MAX_SAFE_INTEGER),
    software: name,
    keys: adoptedKeys,
  }),
  BrokerStarted: listed<EventData['BrokerStarted']>({ node: name, version: name, configSha256: sha256 }),
  SigningKeyPublished: listed<EventData['SigningKeyPublished']>({ kid: name, alg: es256, jwk, ...keySigned }),
  SigningKeyActivated: listed<EventData['SigningKeyActivated']>({ kid: name, alg: es256, ...keySigned }),
  SigningKeyRetired: listed<EventData['SigningKeyRetired']>({ kid: name, alg: es256, ...keySigned }),
  SigningKeyRevoked: listed<EventData['SigningKeyRevoked']>({
    kid: name,
    alg: es256,
    reason: name,
    ...keySigned,
  }),
  SessionValidated: listed<EventData['SessionValidated']>({
    mintId,
    wallet,
    tokenSha256: sha256,
    backend: name,
    agent: optional(name),
  }),
  SessionScoped: listed<EventData['SessionScoped']>({
    mintId,
    wallet,
    services,
    readOnly: form('true or false', (value) => typeof value === 'boolean'),
    parents,
  }),
  PolicyDecided: listed<EventData['PolicyDecided']>({
    mintId,
    wallet,
    policySha256: sha256,
    decision: policyVerdict,
    policies: policyIds,
  }),
  MintRefused: listed<EventData['MintRefused']>({
    mintId,
    wallet,
    tokenSha256: sha256,
    kind: mintKind,
    reason: refusalReason,
    detail: optional(text),
  }),
  JwtIssued: listed<EventData['JwtIssued']>({
    mintId,
    wallet,
    kid: name,
    purpose,
    sub: name,
    aud: name,
    iat: unixSeconds,
    exp: unixSeconds,
    signingInputSha256: sha256,
    roleArn: optional(roleArn),
  }),
  CredsRequested: listed<EventData['CredsRequested']>({
    mintId,
    wallet,
    roleArn,
    roleSessionName: sessionName,
    durationSeconds,
  }),
  CredsMinted: listed<EventData['CredsMinted']>({
    mintId,
    wallet,
    roleArn,
    roleSessionName: sessionName,
    accessKeyId,
    assumedRoleArn: nameOrNull,
    expiresAt: time,
    durationSeconds,
  }),
  CredsMintFailed: listed<EventData['CredsMintFailed']>({
    mintId,
    wallet,
    roleArn,
    code: failureCode,
    detail: text,
  }),
  AccessCutOff: listed<EventData['AccessCutOff']>(cutOff),
  AccessRestored: listed<EventData['AccessRestored']>(cutOff),
  GrantCreated: listed<EventData['GrantCreated']>({
    grantId,
    wallet,
    agent: optional(name),
    actions,
    resources,
    uses: optional(integer('a whole number from 1', 1, Number.MAX_SAFE_INTEGER)),
    expiresAt: time,
    by: grantor,
    from: optional(grantId),
  }),
  GrantRevoked: listed<EventData['GrantRevoked']>({ grantId, by: grantor, reason: optional(name) }),
  GrantUsed: listed<EventData['GrantUsed']>({ mintId, wallet, grantId }),
  ApprovalRequested: listed<EventData['ApprovalRequested']>({
    approvalId,
    mintId,
    wallet,
    tokenSha256: sha256,
    parents,
    agent: optional(name),
    kind: mintKind,
    audience: name,
    roleArn: optional(roleArn),
    lifetimeSeconds: integer('60 to 43200 seconds', 60, 43_200),
    askSha256: sha256,
    expiresAt: time,
  }),
  ApprovalGranted: listed<EventData['ApprovalGranted']>({ ...decided, expiresAt: time }),
  ApprovalDenied: listed<EventData['ApprovalDenied']>(decided),
  ApprovalUsed: listed<EventData['ApprovalUsed']>({ mintId, wallet, approvalId }),
  PolicyLoaded: listed<EventData['PolicyLoaded']>({
    node: name,
    sha256,
    policies: integer(`1 to ${MOST_POLICIES}`, 1, MOST_POLICIES),
    timezone: name,
  }),
  RefusalsCounted: listed<EventData['RefusalsCounted']>({ since: time, until: time, counts }),
}

const GROWING = Object.fromEntries(
  Object.entries(MEMBERS).map(([type, members]) => [
    type,
    members.filter(({ form }) => form.known !== undefined),
  ]),
) as unknown as typeof MEMBERS

function listed<T>(shape: Shape<T>): readonly Member[] {
  return Object.entries<Form>(shape).map(([name, form]) => ({ name, form }))
}
