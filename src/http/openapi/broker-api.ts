// The description of the broker's API, OpenAPI 3.1: written by hand, served at /openapi.json, checked in as docs/openapi.json.

import type { ErrorKind } from '../../domain/errors.js'
import { KINDS, OUTCOMES } from '../audit.dto.js'
import { ERROR_SCHEMA, errorReplies } from './errors.js'
import { ref, type Schema, SCHEMAS, text } from './schemas.js'

interface Operation {
  id: string
  tag: 'mint' | 'audit' | 'cut-off' | 'ledger' | 'issuer' | 'operations'
  summary: string
  /** A bearer is needed, or, `optional`, only where entries are not public. */
  bearer?: true | 'optional'
  body?: string
  parameters?: readonly Schema[]
  /** Status and what it carries: a model's name, or a media type that is no JSON. */
  replies: Readonly<Record<string, string>>
  errors?: readonly ErrorKind[]
}

const BEARER_ERRORS: readonly ErrorKind[] = ['unauthorized', 'backend_unreachable']
const MINT_ERRORS: readonly ErrorKind[] = [...BEARER_ERRORS, 'forbidden', 'ledger_unavailable', 'audit_error']
const OPERATOR_ERRORS: readonly ErrorKind[] = ['unauthorized', 'ledger_unavailable', 'audit_error']
const TEXT = 'text/plain'
const BYTES = 'application/octet-stream'

const query = (name: string, schema: Schema, required = false): Schema => ({
  name,
  in: 'query',
  required,
  schema,
})
const part = (name: string, schema: Schema): Schema => ({ name, in: 'path', required: true, schema })
const index = part(
  'index',
  text('decimal, without leading zeros', '42', { pattern: '^(0|[1-9][0-9]{0,15})$' }),
)
const tile = part(
  'tile',
  text('C2SP tlog-tiles: x001/067, with .p/W behind it for a partial tile', '000.p/17'),
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

const OPERATIONS: Readonly<Record<string, Operation>> = {
  'get /': {
    id: 'getStart',
    tag: 'operations',
    summary: 'Where the description is',
    replies: { 200: 'Start' },
  },
  'get /openapi.json': {
    id: 'getDescription',
    tag: 'operations',
    summary: 'This description',
    replies: { 200: 'application/json' },
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
    replies: { 200: 'Discovery', 304: '' },
  },
  'get /.well-known/jwks.json': {
    id: 'getJwks',
    tag: 'issuer',
    summary: 'The public keys of tokens',
    replies: { 200: 'Jwks', 304: '' },
  },
  'get /.well-known/agentkeys': {
    id: 'getClientSettings',
    tag: 'issuer',
    summary: 'What a client has to know of this broker',
    replies: { 200: 'ClientSettings' },
  },
  'post /v1/mint-oidc-jwt': {
    id: 'mintOidcJwt',
    tag: 'mint',
    summary: 'A short-lived ES256 JWT that AWS IAM and other relying parties trust',
    bearer: true,
    parameters: [IDEMPOTENCY_KEY],
    body: 'MintOidcJwt',
    replies: { 200: 'MintedJwt' },
    errors: MINT_ERRORS,
  },
  'post /v1/mint-aws-creds': {
    id: 'mintAwsCreds',
    tag: 'mint',
    summary: 'Temporary AWS credentials',
    bearer: true,
    parameters: [IDEMPOTENCY_KEY],
    body: 'MintAwsCreds',
    replies: { 200: 'MintedCredentials' },
    errors: [...MINT_ERRORS, 'sts_error', 'aws_not_configured'],
  },
  'get /v1/audit/mints': {
    id: 'listMints',
    tag: 'audit',
    summary: 'What was minted or refused, newest first',
    bearer: true,
    parameters: FILTERS,
    replies: { 200: 'MintPage' },
    errors: [...BEARER_ERRORS, 'forbidden'],
  },
  'post /v1/cut-off': {
    id: 'cutOff',
    tag: 'cut-off',
    summary: 'Refuse a wallet, session, mint or role at once',
    bearer: true,
    body: 'CutOffTarget',
    replies: { 200: 'CutOff' },
    errors: OPERATOR_ERRORS,
  },
  'post /v1/restore': {
    id: 'restore',
    tag: 'cut-off',
    summary: 'Take a cut-off back',
    bearer: true,
    body: 'CutOffTarget',
    replies: { 200: 'Restored' },
    errors: OPERATOR_ERRORS,
  },
  'get /v1/cut-offs': {
    id: 'listCutOffs',
    tag: 'cut-off',
    summary: 'What is cut off now',
    bearer: true,
    replies: { 200: 'application/json' },
    errors: OPERATOR_ERRORS,
  },
  'get /ledger/checkpoint': {
    id: 'getCheckpoint',
    tag: 'ledger',
    summary: 'The signed head, C2SP tlog-checkpoint',
    replies: { 200: TEXT },
    errors: ['ledger_unavailable'],
  },
  'get /ledger/vkey': {
    id: 'getVkey',
    tag: 'ledger',
    summary: 'The public key of the log',
    replies: { 200: TEXT },
  },
  'get /ledger/proof': {
    id: 'getProofOfMint',
    tag: 'ledger',
    summary: 'A proof of a mint, by the jti of its token',
    parameters: [query('jti', jti, true)],
    replies: { 200: TEXT },
    errors: ['ledger_unavailable'],
  },
  'get /ledger/proof/{index}': {
    id: 'getProof',
    tag: 'ledger',
    summary: 'A proof of an entry, C2SP tlog-proof',
    parameters: [index],
    replies: { 200: TEXT },
    errors: ['ledger_unavailable'],
  },
  'get /ledger/tile/entries/{tile}': {
    id: 'getEntries',
    tag: 'ledger',
    summary: 'An entry bundle; with the auditor token where entries are not public',
    bearer: 'optional',
    parameters: [tile],
    replies: { 200: BYTES },
    errors: [...BEARER_ERRORS, 'forbidden', 'ledger_unavailable'],
  },
  'get /ledger/tile/{level}/{tile}': {
    id: 'getTile',
    tag: 'ledger',
    summary: 'A hash tile, C2SP tlog-tiles',
    parameters: [level, tile],
    replies: { 200: BYTES },
    errors: ['ledger_unavailable'],
  },
}

export function brokerApi(version: string): Schema {
  const paths: Record<string, Record<string, Schema>> = {}
  for (const [route, operation] of Object.entries(OPERATIONS)) {
    const [method = '', path = ''] = route.split(' ')
    paths[path] = { ...paths[path], [method]: described(operation) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'AgentKeys Broker',
      version,
      description: 'Short-lived credentials for AI agents, each in a verifiable ledger before it exists.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'the broker that serves this description' }],
    security: [],
    tags: TAGS,
    paths,
    components: { schemas: { ...SCHEMAS, Error: ERROR_SCHEMA }, securitySchemes: { bearer: BEARER } },
  }
}

const TAGS = [
  { name: 'mint', description: 'Credentials' },
  { name: 'audit', description: 'What was minted' },
  { name: 'cut-off', description: 'Refusing at once, for the operator' },
  { name: 'ledger', description: 'The read side of the ledger, in C2SP formats' },
  { name: 'issuer', description: 'What makes the broker an issuer' },
  { name: 'operations', description: 'Health, metrics and this description' },
]

const BEARER = {
  type: 'http',
  scheme: 'bearer',
  description:
    'A session of the session backend; the auditor token for all mints and for entries; the operator token for cut-offs. At most 4,096 characters of visible ASCII.',
}

function described({ id, tag, summary, bearer, body, parameters, replies, errors = [] }: Operation): Schema {
  const carried = Object.entries(replies).map(([status, content]) => [status, reply(content)] as const)
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(bearer === undefined
      ? {}
      : { security: bearer === 'optional' ? [{}, { bearer: [] }] : [{ bearer: [] }] }),
    ...(parameters === undefined ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : { requestBody: { content: { 'application/json': { schema: ref(body) } } } }),
    responses: merged(errorReplies(errors), Object.fromEntries(carried)),
  }
}

function reply(content: string): Schema {
  if (content === '') return { description: 'What the caller has is current' }
  if (content === 'application/json')
    return { description: 'As summed up', content: { [content]: { schema: { type: 'object' } } } }
  if (content.includes('/'))
    return { description: 'As summed up', content: { [content]: { schema: { type: 'string' } } } }
  return { description: 'As summed up', content: { 'application/json': { schema: ref(content) } } }
}

/** A status that is both, as 503 of /readyz, carries either model. */
function merged(errors: Record<string, Schema>, replies: Record<string, Schema>): Record<string, Schema> {
  const all: Record<string, Schema> = { ...errors, ...replies }
  for (const status of Object.keys(replies).filter((name) => name in errors)) {
    const schemas = [errors[status], replies[status]].map((one) => jsonSchemaOf(one as Schema))
    all[status] = { ...replies[status], content: { 'application/json': { schema: { anyOf: schemas } } } }
  }
  return all
}

function jsonSchemaOf(response: Schema): unknown {
  return (response['content'] as Record<string, { schema: unknown }>)['application/json']?.schema
}
