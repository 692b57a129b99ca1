// What GET /openapi.json says. Loaded at the first request for it: @nestjs/swagger and what it brings along are a third of
// the modules that the broker would load at its start otherwise. So the decorators are applied here and not in the controllers.

import type { INestApplication } from '@nestjs/common'
import {
  ApiBearerAuth,
  ApiBody,
  ApiOperation,
  ApiPropertyOptional,
  ApiTags,
  DocumentBuilder,
  SwaggerModule,
} from '@nestjs/swagger'

import { AuditController } from './audit.controller.js'
import { AuditMintsQuery, KINDS, OUTCOMES } from './audit.dto.js'
import { CutOffController } from './cut-off.controller.js'
import { CutOffBody } from './cut-off.dto.js'
import { DescriptionController } from './description.controller.js'
import { HealthController } from './health.controller.js'
import { LedgerController } from './ledger.controller.js'
import { MetricsController } from './metrics.js'
import { MintController } from './mint.controller.js'
import { MintAwsCredsBody, MintOidcJwtBody } from './mint.dto.js'
import { jsonText } from './replies.js'
import { WellKnownController } from './well-known.controller.js'

/** The description as JSON text. Made once: a second call repeats the decorators, which changes nothing. */
export function describeApi(app: INestApplication, version: string): string {
  describeRoutes()
  describeFields()
  const about = new DocumentBuilder()
    .setTitle('AgentKeys Broker')
    .setDescription('Short-lived credentials for AI agents, each in a verifiable ledger before it exists.')
    .setVersion(version)
    .setOpenAPIVersion('3.1.0')
    .addBearerAuth({ type: 'http', scheme: 'bearer' })
    .build()
  return jsonText(SwaggerModule.createDocument(app, about))
}

function describeRoutes(): void {
  routes(MintController, 'mint', {
    oidcJwt: 'A short-lived ES256 JWT that AWS IAM and other relying parties trust',
    awsCreds: 'Temporary AWS credentials for the caller, from AWS STS',
  })
  routes(AuditController, 'audit', {
    mints: 'What was minted or refused, newest first: own mints, or all with the auditor token',
  })
  routes(CutOffController, 'operator', {
    cutOff: 'From now on nothing is minted for a wallet, session, mint or role. Takes the operator token',
    restore: 'Undoes a cut-off. Takes the operator token',
    list: 'What is cut off now. Takes the operator token',
  })
  for (const controller of [MintController, AuditController, CutOffController]) ApiBearerAuth()(controller)
  body(MintController, 'oidcJwt', MintOidcJwtBody)
  body(MintController, 'awsCreds', MintAwsCredsBody)
  body(CutOffController, 'cutOff', CutOffBody)
  body(CutOffController, 'restore', CutOffBody)
  routes(LedgerController, 'ledger', {
    checkpoint: 'The signed head of the log, C2SP tlog-checkpoint',
    vkey: 'The log’s public key. Trust it only if you got the same one another way',
    proofByJti: 'The receipt of a mint, by the jti of its JWT: of its credentials where it has some',
    proof: 'The receipt of one entry, C2SP tlog-proof',
    tile: 'Hash tiles and entry bundles, C2SP tlog-tiles',
  })
  routes(WellKnownController, 'issuer', {
    openidConfiguration: 'OpenID Connect discovery',
    jwksJson: 'The public keys that tokens are, or may still be, signed with',
  })
  routes(DescriptionController, 'clients', {
    agentkeys: 'What a client has to know: session backend, region, roles, bucket, mail domain, ledger key',
  })
  routes(HealthController, 'operations', {
    healthz: 'The process answers',
    readyz: 'Everything a mint needs is there; 503 and what is missing otherwise',
  })
  routes(MetricsController, 'operations', { text: 'Prometheus metrics' })
}

function describeFields(): void {
  fields(MintOidcJwtBody, {
    audience: 'sts.amazonaws.com, or one of BROKER_ALLOWED_AUDIENCES',
    ttl_seconds: 'lifetime in seconds, 60 to BROKER_OIDC_JWT_TTL_SECONDS',
    role: 'the role the token may be used for: the data role or one of BROKER_ALLOWED_ROLE_ARNS',
  })
  fields(MintAwsCredsBody, {
    role: 'the data role or one of BROKER_ALLOWED_ROLE_ARNS',
    duration_seconds: 'session length in seconds, 900 to BROKER_SESSION_DURATION_SECONDS',
  })
  fields(AuditMintsQuery, { wallet: 'a session sees only its own; the auditor token sees all' })
  ApiPropertyOptional({ enum: KINDS })(AuditMintsQuery.prototype, 'kind')
  ApiPropertyOptional({ enum: OUTCOMES })(AuditMintsQuery.prototype, 'outcome')
  fields(AuditMintsQuery, {
    jti: 'the mint id, which is the jti of its JWT',
    access_key_id: 'the AWS access key id that was handed out',
    since: 'RFC 3339 UTC: mints first seen at or after it',
    until: 'RFC 3339 UTC: mints first seen before it',
    limit: '1 to 1000; 100 by default',
    cursor: 'the next_cursor of the page before',
  })
}

// The compiler checks that each route and each field exists.
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- only the prototype is used, whatever the constructor takes
type Class<T extends object> = (new (...parameters: any[]) => T) & { prototype: T }
type Texts<T> = { [Name in keyof T]?: string }

function routes<T extends object>(controller: Class<T>, tag: string, summaries: Texts<T>): void {
  ApiTags(tag)(controller)
  for (const [method, summary] of Object.entries<string>(summaries as Record<string, string>))
    decorate(ApiOperation({ summary }), controller, method)
}

function body<T extends object>(controller: Class<T>, method: keyof T & string, type: Class<object>): void {
  decorate(ApiBody({ type, required: false }), controller, method)
}

function decorate(decorator: MethodDecorator, { prototype }: Class<object>, method: string): void {
  const descriptor = Object.getOwnPropertyDescriptor(prototype, method)
  if (descriptor) decorator(prototype, method, descriptor)
}

function fields<T extends object>({ prototype }: Class<T>, descriptions: Texts<T>): void {
  for (const [name, description] of Object.entries<string>(descriptions as Record<string, string>))
    ApiPropertyOptional({ description })(prototype, name)
}
