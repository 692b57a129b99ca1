// The models of the broker's API. Each member has its unit or form, and an example.

import { CUT_OFF_KINDS } from '../../domain/ledger/cut-offs.js'
import { KINDS, OUTCOMES } from '../audit.dto.js'

export type Schema = Readonly<Record<string, unknown>>

const WALLET_EXAMPLE = `0x${'ab'.repeat(20)}`
const ID_EXAMPLE = '019a8c1e-7d3a-7b1c-9e2f-0123456789ab'
const ROLE_EXAMPLE = 'arn:aws:iam::111122223333:role/agentkeys-data-role'

/** Members are required unless `optional` lists them. No reply and no body has others. */
export function object(properties: Record<string, Schema>, optional: readonly string[] = []): Schema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name))
  return { type: 'object', properties, ...(required.length ? { required } : {}), additionalProperties: false }
}

export const text = (description: string, example: string, more: Schema = {}): Schema => ({
  type: 'string',
  description,
  examples: [example],
  ...more,
})

export const whole = (description: string, example: number, minimum = 0): Schema => ({
  type: 'integer',
  description,
  minimum,
  examples: [example],
})

export const flag = (description: string): Schema => ({ type: 'boolean', description, examples: [true] })
export const list = (items: Schema): Schema => ({ type: 'array', items })
export const orNull = (schema: Schema): Schema => ({ ...schema, type: [schema['type'], 'null'] })
export const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` })

const wallet = text('the wallet, in lower case', WALLET_EXAMPLE, { pattern: '^0x[0-9a-f]{40}$' })
const mintId = text('the id of the mint, a UUIDv7', ID_EXAMPLE, { pattern: '^[0-9a-f-]{36}$' })
const role = text('ARN of an IAM role', ROLE_EXAMPLE, { minLength: 1, maxLength: 2048 })
const seconds = (what: string) => whole(`${what}, unix seconds`, 1_764_264_000)
const hex = (what: string) => text(what, 'ab'.repeat(32), { pattern: '^[0-9a-f]{64}$' })
const time = (what: string) =>
  text(`${what}, RFC 3339 in UTC`, '2026-11-27T18:00:00.000Z', { format: 'date-time' })
const index = (what: string) => whole(`index of ${what}, from 0`, 42)
const cutOffTarget = {
  kind: { type: 'string', enum: CUT_OFF_KINDS, description: 'what is cut off', examples: [CUT_OFF_KINDS[0]] },
  target: text('a wallet, mint id, role ARN or session hash, as the kind says', WALLET_EXAMPLE, {
    minLength: 1,
    maxLength: 2048,
  }),
}

const grantId = text('the id of the grant', `grn-${ID_EXAMPLE}`, { pattern: '^grn-[0-9a-f-]{36}$' })
const kid = text('the kid of a signing key', 'v1-1764264000', { minLength: 1, maxLength: 128 })
const emergency = flag('do without the time that a key has to be published before it signs')
const agent = text('only this agent of the wallet, by its name at the session backend', 'crawler')
const grant = {
  wallet,
  actions: list({ type: 'string', enum: ['oidc_jwt', 'aws_creds'], examples: ['oidc_jwt'] }),
  resources: list(text('an audience or the ARN of a role, as a whole', 'sts.amazonaws.com')),
  expires_at: seconds('when it ends'),
}

const approvalId = text('the id of the request', `apr-${ID_EXAMPLE}`, { pattern: '^apr-[0-9a-f-]{36}$' })
const approval = {
  approval_id: approvalId,
  mint_id: mintId,
  wallet,
  agent: orNull(text('what the backend calls the agent', 'crawler')),
  kind: { type: 'string', enum: KINDS, description: 'what was asked for' },
  audience: text('audience of the token', 'sts.amazonaws.com'),
  role_arn: orNull(text('the role', ROLE_EXAMPLE)),
  lifetime_seconds: whole('of the token, or of the AWS session', 300),
  ask: text('the ask, RFC 8785', '{"audience":"sts.amazonaws.com",…}'),
  ask_sha256: hex('SHA-256 of the ask'),
  state: { type: 'string', enum: ['open', 'granted', 'denied', 'used', 'expired'], examples: ['open'] },
  expires_at: time('until when it can be decided, or used'),
  requested_at: time('when it was asked for'),
  entry_index: index('the entry ApprovalRequested'),
  decided_by: orNull(text('operator, or a wallet', 'operator')),
  decided_at: orNull(time('when it was decided')),
  reason: orNull(text('why, for people', 'release 4.2')),
  used_by: orNull(mintId),
  to_sign: object({
    approve: text('what a wallet signs to approve, EIP-191', 'AgentKeys Broker: approve this mint, once.\n…'),
    deny: text('what a wallet signs to deny, EIP-191', 'AgentKeys Broker: deny this mint, once.\n…'),
  }),
}

const mintRow = {
  first_index: index('the first entry that names the mint'),
  last_index: index('the last entry that names the mint'),
  mint_id: mintId,
  kind: orNull({ type: 'string', enum: [...KINDS, null], description: 'what was asked for' }),
  wallet,
  token_sha256: orNull(hex('SHA-256 of the bearer')),
  backend: orNull(text('the session backend that vouched: embedded, or the origin of its URL', 'embedded')),
  agent: orNull(text('what the backend calls the agent', 'crawler')),
  outcome: { type: 'string', enum: OUTCOMES, description: 'what became of it', examples: ['ok'] },
  reason: orNull(text('the reason of a refusal, or the code of a failure', 'role-not-allowed')),
  detail: orNull(text('the same for people', 'the role is not listed')),
  role_arn: orNull(text('the role', ROLE_EXAMPLE)),
  aud: orNull(text('audience of the token', 'sts.amazonaws.com')),
  kid: orNull(text('key that signed the token', 'v1-1747000000')),
  sub: orNull(text('subject of the token', `agentkeys:agent:${WALLET_EXAMPLE}`)),
  iat: orNull(seconds('when the token was issued')),
  exp: orNull(seconds('when the token expires')),
  signing_input_sha256: orNull(hex('SHA-256 of what was signed')),
  role_session_name: orNull(text('name of the AWS session', `ak-${ID_EXAMPLE}`)),
  access_key_id: orNull(text('the AWS access key id', 'ASIAIOSFODNN7EXAMPLE')),
  assumed_role_arn: orNull(text('who the holder is to AWS', 'arn:aws:sts::111122223333:assumed-role/r/ak-1')),
  expires_at: orNull(time('when the credentials expire')),
  duration_seconds: orNull(whole('length of the AWS session, seconds', 3600)),
  first_seen_at: time('when the mint was first seen'),
  last_changed_at: time('when the mint last changed'),
  jwt_issued_index: orNull(index('the entry JwtIssued')),
  creds_minted_index: orNull(index('the entry CredsMinted')),
}

export const SCHEMAS: Readonly<Record<string, Schema>> = {
  LedgerReference: object({
    origin: text('name of the ledger', 'broker.example.com/ledger'),
    index: index('the entry'),
    leaf_hash: hex('hash of the entry, and leaf of the tree'),
    receipt: text('a C2SP tlog-proof with the entry', 'c2sp.org/tlog-proof@v1\n…'),
  }),
  MintOidcJwt: object(
    {
      audience: text('sts.amazonaws.com, or one of BROKER_ALLOWED_AUDIENCES', 'sts.amazonaws.com', {
        minLength: 1,
        maxLength: 255,
      }),
      ttl_seconds: whole('lifetime in seconds, 60 to BROKER_OIDC_JWT_TTL_SECONDS', 300, 1),
      role,
    },
    ['audience', 'ttl_seconds', 'role'],
  ),
  MintedJwt: object({
    jwt: text('the token, ES256', 'eyJ0…'),
    wallet,
    expiration: seconds('when the token expires'),
    jti: mintId,
    ledger: ref('LedgerReference'),
  }),
  MintAwsCreds: object(
    { role, duration_seconds: whole('length in seconds, 900 to BROKER_SESSION_DURATION_SECONDS', 3600, 1) },
    ['role', 'duration_seconds'],
  ),
  MintedCredentials: object({
    access_key_id: text('the access key id', 'ASIAIOSFODNN7EXAMPLE'),
    secret_access_key: text('the secret access key', 'theSecretAccessKeyOfTheTemporarySession0'),
    session_token: text('the session token', 'IQoJb3JpZ2lu…'),
    expiration: seconds('when the credentials expire'),
    wallet,
    mint_id: mintId,
    role_arn: role,
    region: text('region of the STS that gave them', 'us-east-1'),
    ledger: ref('LedgerReference'),
  }),
  MintRow: object(mintRow),
  MintPage: object({
    mints: list(ref('MintRow')),
    next_cursor: orNull(text('cursor of the next page; null at the end', 'AAAAAAAAACo')),
    ledger: object({ size_seen: whole('how many entries the answer knows', 43) }),
  }),
  CutOffTarget: object(
    { ...cutOffTarget, reason: text('why, for people', 'laptop lost', { minLength: 1, maxLength: 500 }) },
    ['reason'],
  ),
  CutOff: object({
    ...cutOffTarget,
    at: time('since when'),
    ledger: ref('LedgerReference'),
    deny_issued_before: time('AWS sessions issued before it may still be used'),
  }),
  CutOffs: object({
    cut_offs: list(
      object({
        ...cutOffTarget,
        reason: orNull(text('why, for people', 'laptop lost')),
        entry_index: index('the entry AccessCutOff'),
        since: time('since when'),
      }),
    ),
  }),
  SigningKeys: object({
    keys: list(
      object({
        kid,
        alg: text('what it signs with', 'ES256'),
        state: {
          type: 'string',
          enum: ['next', 'active', 'superseded', 'retired', 'revoked'],
          examples: ['active'],
        },
        since: time('since when'),
        signer: orNull(
          text('where this broker has its private half; null: not here', '/data/oidc-keypair.json'),
        ),
        then: text('what comes next', '"keys rotate" retires it'),
        then_at: orNull(time('from when on')),
      }),
    ),
    publish_ahead_seconds: whole('how long a key is published before it signs', 86_400, 300),
  }),
  Rotation: object({ emergency }, ['emergency']),
  KeyToRetire: object({ kid }),
  KeyToRevoke: object(
    {
      kid,
      reason: text('why, for people', 'the disk was stolen', { minLength: 1, maxLength: 500 }),
      emergency,
    },
    ['reason', 'emergency'],
  ),
  ChangedKeys: object({
    active: orNull(kid),
    next: orNull(kid),
    at: time('since when'),
    ledger: ref('LedgerReference'),
  }),
  NewGrant: object({ ...grant, agent, max_uses: whole('how often; none: no limit', 5, 1) }, [
    'agent',
    'max_uses',
  ]),
  GrantToRevoke: object(
    { grant_id: grantId, reason: text('why, for people', 'job done', { minLength: 1, maxLength: 500 }) },
    ['reason'],
  ),
  ChangedGrant: object({ grant_id: grantId, ledger: ref('LedgerReference') }),
  Grants: object({
    grants: list(
      object({
        grant_id: grantId,
        ...grant,
        agent: orNull(agent),
        max_uses: orNull(whole('how often; null: no limit', 5, 1)),
        used_count: whole('uses so far, of what was passed on too', 2),
        granted_by: text('operator, or the wallet that passed it on', 'operator'),
        passed_on_from: orNull(grantId),
        created_at: time('since when'),
        entry_index: index('the entry GrantCreated'),
        revoked_at: orNull(time('when it was revoked')),
        revoked_by: orNull(text('operator, or a wallet', 'operator')),
        revoke_reason: orNull(text('why, for people', 'job done')),
      }),
    ),
  }),
  Approval: object(approval),
  Approvals: object({ approvals: list(ref('Approval')) }),
  Decision: object(
    {
      reason: text('why, for people', 'release 4.2', { minLength: 1, maxLength: 500 }),
      signature: text('EIP-191, in place of the operator token', `0x${'ab'.repeat(65)}`, {
        pattern: '^0x[0-9a-fA-F]{130}$',
      }),
    },
    ['reason', 'signature'],
  ),
  DecidedApproval: object({ approval_id: approvalId, ledger: ref('LedgerReference') }),
  Restored: object({ ...cutOffTarget, at: time('since when'), ledger: ref('LedgerReference') }),
  Discovery: object({
    issuer: text('the issuer', 'https://broker.example.com', { format: 'uri' }),
    jwks_uri: text('where the keys are', 'https://broker.example.com/.well-known/jwks.json', {
      format: 'uri',
    }),
    response_types_supported: list({ type: 'string' }),
    subject_types_supported: list({ type: 'string' }),
    id_token_signing_alg_values_supported: list({ type: 'string' }),
    scopes_supported: list({ type: 'string' }),
    token_endpoint_auth_methods_supported: list({ type: 'string' }),
    claims_supported: list({ type: 'string' }),
  }),
  Jwks: object({
    keys: list(
      object({
        kty: { const: 'EC' },
        crv: { const: 'P-256' },
        x: text('coordinate, base64url', 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU'),
        y: text('coordinate, base64url', 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0'),
        kid: text('name of the key', 'v1-1747000000'),
        alg: { const: 'ES256' },
        use: { const: 'sig' },
      }),
    ),
  }),
  ClientSettings: object(
    {
      issuer: text('the issuer', 'https://broker.example.com', { format: 'uri' }),
      session_backend: text('where sessions come from', 'http://127.0.0.1:8090'),
      region: text('AWS region', 'us-east-1'),
      roles: list(role),
      bucket: text('the bucket of the data role', 'agentkeys-data'),
      mail_domain: text('domain of the inboxes', 'mail.example.com'),
      ledger: object({
        origin: text('name of the ledger', 'broker.example.com/ledger'),
        vkey: text('its key, C2SP signed-note', 'name+hash+key'),
      }),
    },
    ['session_backend', 'region', 'bucket', 'mail_domain'],
  ),
  Readiness: object(
    {
      status: { type: 'string', enum: ['ready', 'not_ready'], examples: ['ready'] },
      backend_ok: flag('the session backend answers'),
      sts_ok: flag('AWS STS answers'),
      ledger_ok: flag('the ledger takes entries'),
      signer_ok: flag('the signing key is the active one'),
      projections_ok: flag('the read models follow the ledger'),
      policy_stale: text('why the policy in force is not that of its folder', 'the policy was not loaded'),
      problems: list(text('what is missing', 'the session backend does not answer')),
    },
    ['policy_stale', 'problems'],
  ),
  Start: object({
    name: text('what this is', 'AgentKeys Broker'),
    version: text('version of the broker', '0.1.0'),
    description: text('path of this description', '/openapi.json'),
  }),
}
