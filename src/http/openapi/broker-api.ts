// The description of the broker's API, OpenAPI 3.1: written by hand, served at /openapi.json, checked in as docs/openapi.json.

import type { ErrorReason } from '../../domain/errors.js'
import { KINDS, OUTCOMES } from '../audit.dto.js'
import { documentOf, type Operation } from './document.js'
import { ERROR_SCHEMA, errorReplies, reasonsOf } from './errors.js'
import { ANY_ORIGIN } from './headers.js'
import { keyOperations } from './key-operations.js'
import { part, query } from './parameters.js'
import { type Schema, SCHEMAS, text } from './schemas.js'

/** Refusals of who reads, and not of who mints. */
const OF_READING: ReadonlySet<ErrorReason> = new Set(['other-wallet', 'auditor-only'])
const BEARER: readonly ErrorReason[] = ['missing-authorization', 'malformed-authorization']
const SESSION: readonly ErrorReason[] = [
  ...BEARER,
  'session-not-valid',
  'backend-unreachable',
  'backend-queue-full',
]
const LEDGER: readonly ErrorReason[] = ['ledger-unavailable', 'signing-key-changed', 'ledger-failed']
const MINT: readonly ErrorReason[] = [
  ...SESSION,
  ...LEDGER,
  ...reasonsOf('forbidden', 'approval_required', 'too_many_requests').filter(
    (reason) => !OF_READING.has(reason),
  ),
]
const AWS: readonly ErrorReason[] = [...reasonsOf('sts_error', 'aws_not_configured'), 'sts-queue-full']
const GRANTOR: readonly ErrorReason[] = [...SESSION, ...LEDGER, 'no-grant', 'cut-off']
const DECIDER: readonly ErrorReason[] = [...BEARER, 'not-the-operator', 'not-an-approver', 'no-such-approval']
const OPERATOR: readonly ErrorReason[] = [...BEARER, 'not-the-operator']
const TEXT = 'text/plain'
const BYTES = 'application/octet-stream'

const index = part(
  'index',
  text('decimal, without leading zeros', '42', { pattern: '^(0|[1-9][0-9]{0,15})$' }),
)
const tile = part(
  'tile',
  text('C2SP tlog-tiles: x001/067, with .p/W behind it for a partial tile', '000.p/17'),
)
const ifNoneMatch = {
  name: 'If-None-Match',
  in: 'header',
  required: false,
  schema: text('the ETag of what the caller has: 304 if it is current', '"5d41402abc4b2a76b9719d911017c592"'),
}
const approval = part(
  'id',
  text('id of the request', 'apr-019a8c1e-7d3a-7b1c-9e2f-0123456789ab', { pattern: '^apr-[0-9a-f-]{36}$' }),
)
const level = part('level', text('level of the tile', '0', { pattern: '^[0-9]{1,2}$' }))
const jti = text('id of a mint', '019a8c1e-7d3a-7b1c-9e2f-0123456789ab', { pattern: '^[0-9a-f-]{36}$' })
const time = (what: string) => text(`RFC 3339 in UTC: ${what}`, '2026-11-20T12:00:00Z')

const IDEMPOTENCY_KEY: Schema = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  schema: text(
    'of one mint and its retries: for five minutes the same session gets the same reply, with Idempotency-Replayed: true',
    'e6ff8bbd-04d3-4b44-9d52-6d9f1f1f2a52',
    { pattern: '^[\\x21-\\x7e]{1,255}$' },
  ),
}

const FILTERS: readonly Schema[] = [
  query(
    'wallet',
    text('a session sees its own, the auditor token all', `0x${'ab'.repeat(20)}`, {
      pattern: '^0x[0-9a-fA-F]{40}$',
    }),
  ),
  query('kind', { type: 'string', enum: KINDS }),
  query('outcome', { type: 'string', enum: OUTCOMES }),
  query('jti', jti),
  query('access_key_id', text('the AWS access key id', 'ASIAIOSFODNN7EXAMPLE', { pattern: '^\\w{16,128}$' })),
  query('since', time('mints first seen at or after it')),
  query('until', time('mints first seen before it')),
  query('limit', { type: 'integer', minimum: 1, maximum: 1000, default: 100 }),
  query('cursor', text('next_cursor of the page before', 'AAAAAAAAACo', { pattern: '^[\\w-]{1,64}$' })),
]

const OPERATIONS: Readonly<Record<string, Operation<ErrorReason>>> = {
  'get /': {
    id: 'getStart',
    tag: 'operations',
    summary: 'Where the description is',
    replies: { 200: 'Start' },
    headers: ['Link', ...ANY_ORIGIN],
  },
  'get /openapi.json': {
    id: 'getDescription',
    tag: 'operations',
    summary: 'This description',
    replies: { 200: 'application/json' },
    headers: ANY_ORIGIN,
  },
  'get /healthz': {
    id: 'getHealth',
    tag: 'operations',
    summary: 'The process answers',
    replies: { 200: TEXT },
  },
  'get /readyz': {
    id: 'getReadiness',
    tag: 'operations',
    summary: 'Whether a mint would succeed, part by part',
    replies: { 200: 'Readiness', 503: 'Readiness' },
  },
  'get /metrics': {
    id: 'getMetrics',
    tag: 'operations',
    summary: 'Metrics for Prometheus',
    replies: { 200: TEXT },
  },
  'get /.well-known/openid-configuration': {
    id: 'getDiscovery',
    tag: 'issuer',
    summary: 'OpenID Connect Discovery',
    parameters: [ifNoneMatch],
    replies: { 200: 'Discovery', 304: '' },
    headers: ['ETag', ...ANY_ORIGIN],
  },
  'get /.well-known/jwks.json': {
    id: 'getJwks',
    tag: 'issuer',
    summary: 'The public keys of tokens',
    parameters: [ifNoneMatch],
    replies: { 200: 'Jwks', 304: '' },
    headers: ['ETag', ...ANY_ORIGIN],
  },
  'get /.well-known/agentkeys': {
    id: 'getClientSettings',
    tag: 'issuer',
    summary: 'What a client has to know of this broker',
    replies: { 200: 'ClientSettings' },
    headers: ANY_ORIGIN,
  },
  'post /v1/mint-oidc-jwt': {
    id: 'mintOidcJwt',
    tag: 'mint',
    summary: 'A short-lived ES256 JWT that AWS IAM and other relying parties trust',
    bearer: true,
    parameters: [IDEMPOTENCY_KEY],
    body: 'MintOidcJwt',
    replies: { 200: 'MintedJwt' },
    errors: MINT,
    headers: ['Idempotency-Replayed'],
  },
  'post /v1/mint-aws-creds': {
    id: 'mintAwsCreds',
    tag: 'mint',
    summary: 'Temporary AWS credentials',
    bearer: true,
    parameters: [IDEMPOTENCY_KEY],
    body: 'MintAwsCreds',
    replies: { 200: 'MintedCredentials' },
    errors: [...MINT, ...AWS],
    headers: ['Idempotency-Replayed'],
  },
  'get /v1/audit/mints': {
    id: 'listMints',
    tag: 'audit',
    summary: 'What was minted or refused, newest first',
    bearer: true,
    parameters: FILTERS,
    replies: { 200: 'MintPage' },
    errors: [...SESSION, 'other-wallet'],
  },
  'post /v1/cut-off': {
    id: 'cutOff',
    tag: 'cut-off',
    summary: 'Refuse a wallet, session, mint or role at once',
    bearer: true,
    body: 'CutOffTarget',
    replies: { 200: 'CutOff' },
    errors: [...OPERATOR, ...LEDGER],
  },
  'post /v1/restore': {
    id: 'restore',
    tag: 'cut-off',
    summary: 'Take a cut-off back',
    bearer: true,
    body: 'CutOffTarget',
    replies: { 200: 'Restored' },
    errors: [...OPERATOR, 'not-cut-off', ...LEDGER],
  },
  'get /v1/cut-offs': {
    id: 'listCutOffs',
    tag: 'cut-off',
    summary: 'What is cut off now',
    bearer: true,
    replies: { 200: 'CutOffs' },
    errors: OPERATOR,
  },
  ...keyOperations(OPERATOR, LEDGER),
  'post /v1/grant/create': {
    id: 'createGrant',
    tag: 'grants',
    summary:
      'Allow a wallet to mint what is listed; a session passes on what it holds, the operator token creates',
    bearer: true,
    body: 'NewGrant',
    replies: { 200: 'ChangedGrant' },
    errors: [...GRANTOR, 'too-many-grants'],
  },
  'post /v1/grant/revoke': {
    id: 'revokeGrant',
    tag: 'grants',
    summary: 'End a grant, and those that were passed on from it',
    bearer: true,
    body: 'GrantToRevoke',
    replies: { 200: 'ChangedGrant' },
    errors: [...GRANTOR, 'no-such-grant'],
  },
  'get /v1/grant/list': {
    id: 'listGrants',
    tag: 'grants',
    summary: 'Grants of the wallet, and those it passed on; with the operator token all. Newest first',
    bearer: true,
    replies: { 200: 'Grants' },
    errors: SESSION,
  },
  'get /v1/approvals': {
    id: 'listApprovals',
    tag: 'approvals',
    summary: 'Requests that wait for a decision, or all; newest first',
    bearer: true,
    parameters: [query('state', { type: 'string', enum: ['open', 'all'], default: 'open' })],
    replies: { 200: 'Approvals' },
    errors: OPERATOR,
  },
  'get /v1/approvals/{id}': {
    id: 'getApproval',
    tag: 'approvals',
    summary:
      'What became of a request; waits for a decision if asked to, and for no longer than there is room',
    bearer: true,
    parameters: [approval, query('wait', { type: 'integer', minimum: 0, maximum: 55, default: 0 })],
    replies: { 200: 'Approval' },
    errors: [...SESSION, 'no-such-approval'],
  },
  'post /v1/approvals/{id}/approve': {
    id: 'approve',
    tag: 'approvals',
    summary: 'Allow the mint once; with the operator token, or the signature of a wallet',
    bearer: 'optional',
    parameters: [approval],
    body: 'Decision',
    replies: { 200: 'DecidedApproval' },
    errors: [...DECIDER, ...LEDGER],
  },
  'post /v1/approvals/{id}/deny': {
    id: 'deny',
    tag: 'approvals',
    summary: 'Refuse the mint; with the operator token, or the signature of a wallet',
    bearer: 'optional',
    parameters: [approval],
    body: 'Decision',
    replies: { 200: 'DecidedApproval' },
    errors: [...DECIDER, ...LEDGER],
  },
  'get /ledger/checkpoint': {
    id: 'getCheckpoint',
    tag: 'ledger',
    summary: 'The signed head, C2SP tlog-checkpoint',
    replies: { 200: TEXT },
    errors: LEDGER,
    headers: ANY_ORIGIN,
  },
  'get /ledger/vkey': {
    id: 'getVkey',
    tag: 'ledger',
    summary: 'The public key of the log',
    replies: { 200: TEXT },
    headers: ANY_ORIGIN,
  },
  'get /ledger/proof': {
    id: 'getProofOfMint',
    tag: 'ledger',
    summary: 'A proof of a mint, by the jti of its token',
    parameters: [query('jti', jti, true)],
    replies: { 200: TEXT },
    errors: ['no-such-mint', 'no-such-entry', ...LEDGER],
    headers: ANY_ORIGIN,
  },
  'get /ledger/proof/{index}': {
    id: 'getProof',
    tag: 'ledger',
    summary: 'A proof of an entry, C2SP tlog-proof',
    parameters: [index],
    replies: { 200: TEXT },
    errors: ['no-such-entry', ...LEDGER],
    headers: ANY_ORIGIN,
  },
  'get /ledger/tile/entries/{tile}': {
    id: 'getEntries',
    tag: 'ledger',
    summary: 'An entry bundle; with the auditor token where entries are not public',
    bearer: 'optional',
    parameters: [tile],
    replies: { 200: BYTES },
    errors: [...SESSION, 'auditor-only', 'no-such-tile', ...LEDGER],
    headers: ['Vary', 'Content-Encoding', ...ANY_ORIGIN],
  },
  'get /ledger/tile/{level}/{tile}': {
    id: 'getTile',
    tag: 'ledger',
    summary: 'A hash tile, C2SP tlog-tiles',
    parameters: [level, tile],
    replies: { 200: BYTES },
    errors: ['no-such-tile', ...LEDGER],
    headers: ANY_ORIGIN,
  },
}

export function brokerApi(version: string): Schema {
  return documentOf({
    title: 'AgentKeys Broker',
    version,
    description: DESCRIPTION,
    server: 'the broker that serves this description',
    tags: TAGS,
    bearer:
      'A session of the session backend; the auditor token for all mints and for entries; the operator token for cut-offs and signing keys. At most 4,096 characters of visible ASCII.',
    operations: OPERATIONS,
    schemas: { ...SCHEMAS, Error: ERROR_SCHEMA },
    errorReplies,
  })
}

const DESCRIPTION =
  'Short-lived credentials for AI agents, each in a verifiable ledger before it exists. ' +
  'HEAD is answered wherever GET is. Any other path is a 404 and any other method a 405, both with the body Error. ' +
  'Public routes of the issuer and the ledger answer the preflight (OPTIONS) of a page of any site.'

const TAGS = [
  { name: 'mint', description: 'Credentials' },
  { name: 'audit', description: 'What was minted' },
  { name: 'cut-off', description: 'Refusing at once, for the operator' },
  { name: 'keys', description: 'The keys that sign tokens, for the operator' },
  { name: 'grants', description: 'Which wallet may mint what, until when and how often' },
  { name: 'approvals', description: 'Mints that the policy allows only with an approval' },
  { name: 'ledger', description: 'The read side of the ledger, in C2SP formats' },
  { name: 'issuer', description: 'What makes the broker an issuer' },
  { name: 'operations', description: 'Health, metrics and this description' },
]
