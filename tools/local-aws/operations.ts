// The three actions, each from the request to what goes into its <...Result>.

import { allowedBy } from '../../src/domain/iam/decide.js'
import type { Principal } from '../../src/domain/iam/principal.js'
import type { Account, Provider, Role } from './account.js'
import { StsError, invalidToken } from './errors.js'
import { fetchKeys } from './issuer-keys.js'
import { packedSize } from './packed-size.js'
import { constraint, readAsk, refuseUnsupported, required, type Ask, type Parameters } from './parameters.js'
import {
  NO_TAGS,
  inherit,
  isSourceIdentity,
  principalTags,
  tagsOfParameters,
  type SessionTags,
} from './session-tags.js'
import { identityOf, type Caller, type Opened, type Session, type Sessions } from './sessions.js'
import type { SignedRequest } from './sigv4.js'
import { callerContext, webContext } from './condition-context.js'
import { readToken, refuseUnlistedRole, verifyToken } from './web-identity.js'
import type { Content } from './xml.js'

export interface World {
  account: Account
  sessions: Sessions
  now: () => Date
  keyFetchTimeoutMs: number
}

/** Verify the token, ask the trust policy, open the session. Nothing in the request is signed: the token is the proof. */
export async function assumeRoleWithWebIdentity(
  world: World,
  request: SignedRequest,
  parameters: Parameters,
): Promise<Content> {
  refuseUnsupported(parameters, ['ProviderId'])
  const ask = readAsk(parameters)
  const token = readToken(required(parameters, 'WebIdentityToken', 4, 20_000))
  const provider = providerOf(world.account, ask.roleArn, token.issuer)
  refuseStraySession(request)
  const keys = await fetchKeys(provider.url, world.keyFetchTimeoutMs)
  const identity = await verifyToken(token, provider, keys, world.now())
  refuseUnlistedRole(identity, ask.roleArn)

  const context = webContext(ask, provider, identity)
  const role = authorize(world.account, ask.roleArn, {
    principal: { type: 'Federated', names: [provider.arn] },
    actions: actionsOf('sts:AssumeRoleWithWebIdentity', identity.tags, identity.sourceIdentity),
    context,
    refusal: (action) => `Not authorized to perform ${action}`,
  })
  checkDuration(ask, role)
  const packed = packedSize(ask, identity.tags)
  const opened = open(world, role, { ask, tags: identity.tags, sourceIdentity: identity.sourceIdentity })
  return {
    ...credentials(opened),
    SubjectFromWebIdentityToken: identity.subject,
    Audience: identity.audience,
    // The API reference says the issuer's URL; what comes over the wire is the provider's ARN.
    Provider: provider.arn,
    SourceIdentity: identity.sourceIdentity,
    ...sizes(packed, opened),
  }
}

/** Verify the signature, ask the trust policy, open the session. With a session's key this is role chaining. */
export function assumeRole(world: World, request: SignedRequest, parameters: Parameters): Content {
  const caller = world.sessions.authenticate(request, world.account, world.now())
  refuseUnsupported(parameters, ['SerialNumber', 'TokenCode', 'ProvidedContexts'])
  const ask = readAsk(parameters)
  const requested = tagsOfParameters(parameters)
  const { arn } = identityOf(caller)
  const sourceIdentity = chainedSourceIdentity(caller, readSourceIdentity(parameters))

  const role = authorize(world.account, ask.roleArn, {
    principal: callingPrincipal(caller),
    actions: actionsOf('sts:AssumeRole', requested, sourceIdentity),
    context: callerContext({ ask, caller, tags: requested, sourceIdentity }, parameters.get('ExternalId')),
    refusal: (action) => `User: ${arn} is not authorized to perform: ${action} on resource: ${ask.roleArn}`,
  })
  if (caller.kind === 'session' && ask.durationSeconds > 3600) {
    throw new StsError(
      'ValidationError',
      'The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.',
    )
  }
  checkDuration(ask, role)
  const packed = packedSize(ask, requested)
  const tags = inherit(caller.kind === 'session' ? caller.session.tags : NO_TAGS, requested)
  const opened = open(world, role, { ask, tags, sourceIdentity })
  return { ...credentials(opened), SourceIdentity: sourceIdentity, ...sizes(packed, opened) }
}

export function getCallerIdentity(world: World, request: SignedRequest): Content {
  const { arn, userId, account } = identityOf(
    world.sessions.authenticate(request, world.account, world.now()),
  )
  return { Arn: arn, UserId: userId, Account: account }
}

/** A provider belongs to an account: the one of the role that is asked for. */
function providerOf({ providers }: Account, roleArn: string, issuer: string): Provider {
  const account = roleArn.split(':')[4]
  const provider = providers.find((one) => one.account === account && one.url === issuer)
  if (!provider) throw invalidToken(`No OpenIDConnect provider found in your account for ${issuer}`)
  return provider
}

/** Seen at AWS: an X-Amz-Security-Token on this unsigned call is answered as if the issuer were not to be reached. */
function refuseStraySession({ headers }: SignedRequest): void {
  if (headers.has('x-amz-security-token')) {
    throw invalidToken(
      "Couldn't retrieve verification key from your identity provider (the request has an X-Amz-Security-Token header)",
    )
  }
}

type TrustAction =
  'sts:AssumeRole' | 'sts:AssumeRoleWithWebIdentity' | 'sts:SetSourceIdentity' | 'sts:TagSession'

interface Authorization {
  principal: Principal
  actions: TrustAction[]
  context: ReadonlyMap<string, readonly string[]>
  refusal: (action: TrustAction) => string
}

/** The role, if its trust policy allows every action that is needed. A role that is not there is refused the same way. */
function authorize(
  { roles }: Account,
  roleArn: string,
  { principal, actions, context, refusal }: Authorization,
): Role {
  const role = roles.get(roleArn)
  const refused = actions.find(
    (action) => !role || !allowedBy(role.trustPolicy, { action, principal, context }),
  )
  if (!role || refused) throw new StsError('AccessDenied', refusal(refused ?? 'sts:AssumeRole'))
  return role
}

function actionsOf(
  assume: TrustAction,
  { tags }: SessionTags,
  sourceIdentity: string | undefined,
): TrustAction[] {
  return [
    assume,
    ...(tags.size > 0 ? (['sts:TagSession'] as const) : []),
    ...(sourceIdentity === undefined ? [] : (['sts:SetSourceIdentity'] as const)),
  ]
}

function callingPrincipal(caller: Caller): Principal {
  return {
    type: 'AWS',
    names: caller.kind === 'session' ? [caller.session.roleArn, caller.session.arn] : [caller.user.arn],
  }
}

function readSourceIdentity(parameters: Parameters): string | undefined {
  const value = parameters.get('SourceIdentity')
  if (value === undefined || isSourceIdentity(value)) return value
  throw constraint('sourceIdentity', 'Member must have 2 to 64 of [\\w+=,.@-], not starting with aws:')
}

/** Once set, a source identity stays through every chained role: the same again is fine, another is refused. */
function chainedSourceIdentity(caller: Caller, requested: string | undefined): string | undefined {
  const held = caller.kind === 'session' ? caller.session.sourceIdentity : undefined
  if (held !== undefined && requested !== undefined && requested !== held) {
    throw new StsError('AccessDenied', 'The source identity of the calling session cannot be changed')
  }
  return held ?? requested
}

function checkDuration({ durationSeconds }: Ask, { maxSessionDuration }: Role): void {
  if (durationSeconds > maxSessionDuration) {
    throw new StsError(
      'ValidationError',
      'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.',
    )
  }
}

type SessionAsk = { ask: Ask; tags: SessionTags; sourceIdentity: string | undefined }

function open({ sessions, now }: World, role: Role, { ask, tags, sourceIdentity }: SessionAsk): Opened {
  // The wire has whole seconds: the reply's expiration is the real end.
  const expiresAt = new Date(Math.floor(now().getTime() / 1000 + ask.durationSeconds) * 1000)
  const { roleSessionName, policy, policyArns } = ask
  return sessions.open(role, expiresAt, {
    roleSessionName,
    sourceIdentity,
    tags,
    principalTags: principalTags(role.tags, tags),
    policy,
    policyArns,
  })
}

function credentials({ session, keys }: Opened) {
  return {
    Credentials: {
      AccessKeyId: session.accessKeyId,
      SecretAccessKey: keys.secretAccessKey,
      SessionToken: keys.sessionToken,
      Expiration: wireTime(session),
    },
    AssumedRoleUser: { AssumedRoleId: session.userId, Arn: session.arn },
  }
}

function wireTime({ expiresAt }: Session): string {
  return expiresAt.toISOString().replace('.000Z', 'Z')
}

/** PackedPolicySize is the old name and is on its way out; both are sent. */
function sizes(packed: number, { keys }: Opened) {
  return {
    PackedPolicySize: packed === 0 ? undefined : packed,
    SessionTokenUtilization: packed,
    SessionTokenSize: keys.sessionToken.length,
  }
}
