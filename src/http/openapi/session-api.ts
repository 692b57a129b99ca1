// The description of the session API, which has a listener of its own: served there at /openapi.json, checked in as
// docs/openapi-session.json. The other description is broker-api.ts.

import type { SessionReason } from '../session-error-body.js'
import { documentOf, type Operation } from './document.js'
import { sessionErrorReplies } from './errors.js'
import { query } from './parameters.js'
import { type Schema, text } from './schemas.js'
import { anyWallet, SESSION_SCHEMAS } from './session-schemas.js'

const BEARER: readonly SessionReason[] = [
  'missing-authorization',
  'malformed-authorization',
  'session-not-valid',
]
/** Of a valid caller who asks for what is not theirs. */
const OWN: readonly SessionReason[] = [...BEARER, 'not-permitted']
const THING: readonly SessionReason[] = [...OWN, 'no-such-thing']
const TEXT = 'text/plain'

const agent = query('agent_id', anyWallet('of the agent'), true)
const name = (what: string) => text(what, 'github', { minLength: 1, maxLength: 320 })
const IDENTITY: readonly Schema[] = [
  query('identity_type', { type: 'string', enum: ['alias', 'email'] }, true),
  query('identity_value', name('the name'), true),
]
const USAGE: readonly Schema[] = [
  query('owner', anyWallet('whose agents did it; the caller if it is left out')),
  query('agent', anyWallet('of the agent')),
  query('service', name('name of the service')),
]

type SessionOperation = Operation<SessionReason>

const SESSIONS: Readonly<Record<string, SessionOperation>> = {
  'post /session/create': {
    id: 'createSession',
    tag: 'sessions',
    summary: 'A session for an auth token; for callers on this machine only',
    body: 'CreateSession',
    replies: { 200: 'IssuedSession' },
    errors: ['session-not-valid', 'not-permitted'],
  },
  'get /session/validate': {
    id: 'validateSession',
    tag: 'sessions',
    summary: 'Whose session the bearer is, and for a child what it may do',
    bearer: true,
    replies: { 200: 'ValidSession' },
    errors: BEARER,
  },
  'post /session/child': {
    id: 'createChildSession',
    tag: 'sessions',
    summary: 'A narrower session with a wallet of its own',
    bearer: true,
    body: 'ChildSession',
    replies: { 200: 'IssuedSession' },
    errors: OWN,
  },
  'post /session/revoke': {
    id: 'revokeSession',
    tag: 'sessions',
    summary: 'End a session, or all of a wallet, with all that descend from them',
    bearer: true,
    body: 'RevokeSession',
    replies: { 200: 'Revoked' },
    errors: THING,
  },
  'get /session/scope': {
    id: 'getScope',
    tag: 'sessions',
    summary: 'What an agent may do',
    bearer: true,
    parameters: [query('wallet', anyWallet('of the agent'), true)],
    replies: { 200: 'Scope' },
    errors: OWN,
  },
  'put /session/scope': {
    id: 'setScope',
    tag: 'sessions',
    summary: 'Change what an agent may do',
    bearer: true,
    body: 'SetScope',
    replies: { 200: 'ScopeSet' },
    errors: OWN,
  },
  'post /v1/auth/wallet/start': {
    id: 'startWalletLogin',
    tag: 'sessions',
    summary: 'A challenge for a wallet to sign',
    body: 'StartLogin',
    replies: { 200: 'Challenge' },
  },
  'post /v1/auth/wallet/verify': {
    id: 'verifyWalletLogin',
    tag: 'sessions',
    summary: 'A session for the wallet that signed',
    body: 'VerifyLogin',
    replies: { 200: 'IssuedSession' },
    errors: ['session-not-valid'],
  },
}

const ACCOUNT: Readonly<Record<string, SessionOperation>> = {
  'post /credential/store': {
    id: 'storeCredential',
    tag: 'account',
    summary: 'Keep an encrypted credential for an agent',
    bearer: true,
    body: 'StoreCredential',
    replies: { 200: 'Done' },
    errors: OWN,
  },
  'get /credential/read': {
    id: 'readCredential',
    tag: 'account',
    summary: 'An encrypted credential of an agent',
    bearer: true,
    parameters: [agent, query('service', name('name of the service'), true)],
    replies: { 200: 'Credential' },
    errors: THING,
  },
  'get /credential/list': {
    id: 'listCredentials',
    tag: 'account',
    summary: 'For which services credentials are kept',
    bearer: true,
    parameters: [agent],
    replies: { 200: 'Services' },
    errors: OWN,
  },
  'delete /credential/teardown': {
    id: 'tearDownAgent',
    tag: 'account',
    summary: 'Delete the credentials of an agent and end its sessions',
    bearer: true,
    body: 'Agent',
    replies: { 200: 'Done' },
    errors: OWN,
  },
  'get /audit/query': {
    id: 'listUsage',
    tag: 'account',
    summary: 'What was done with credentials, newest first, at most 1,000',
    bearer: true,
    parameters: USAGE,
    replies: { 200: 'Usage' },
    errors: OWN,
  },
  'post /identity/link': {
    id: 'linkIdentity',
    tag: 'account',
    summary: 'Give a wallet a name',
    bearer: true,
    body: 'LinkIdentity',
    replies: { 200: 'Done' },
    errors: OWN,
  },
  'get /identity/resolve': {
    id: 'resolveIdentity',
    tag: 'account',
    summary: 'The wallet of a name',
    bearer: true,
    parameters: IDENTITY,
    replies: { 200: 'Identity' },
    errors: [...BEARER, 'no-such-thing'],
  },
}

const INBOXES: Readonly<Record<string, SessionOperation>> = {
  'post /mock/inbox/provision': {
    id: 'provisionInbox',
    tag: 'inboxes',
    summary: 'A new mail address for an agent',
    bearer: true,
    body: 'Agent',
    replies: { 200: 'Inbox' },
    errors: OWN,
  },
  'get /mock/inbox/list': {
    id: 'listInboxes',
    tag: 'inboxes',
    summary: 'The mail addresses of an agent',
    bearer: true,
    parameters: [agent],
    replies: { 200: 'Inboxes' },
    errors: OWN,
  },
  'get /mock/inbox/messages': {
    id: 'listMessages',
    tag: 'inboxes',
    summary: 'Mail of an address, newest first',
    bearer: true,
    parameters: [query('address', text('the address', 'bot-1@agentkeys-email.io'), true)],
    replies: { 200: 'Messages' },
    errors: THING,
  },
  'get /inbox/owner': {
    id: 'getInboxOwner',
    tag: 'inboxes',
    summary: 'Whose inbox an address is; for the mail router, with its token',
    bearer: true,
    parameters: [query('address', text('the address', 'bot-1@agentkeys-email.io'), true)],
    replies: { 200: 'InboxOwner' },
    errors: [...BEARER, 'no-such-thing'],
  },
  'post /mock/inbox/deliver': {
    id: 'deliverMail',
    tag: 'inboxes',
    summary: 'Mail for an address; for callers on this machine only',
    body: 'Mail',
    replies: { 200: 'Delivered' },
    errors: ['not-permitted', 'no-such-thing'],
  },
}

const OPERATIONS: Readonly<Record<string, SessionOperation>> = {
  'get /': {
    id: 'getStart',
    tag: 'operations',
    summary: 'Where the description is',
    replies: { 200: 'Start' },
    headers: ['Link'],
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
    summary: 'The session store answers',
    replies: { 200: TEXT },
  },
  'get /health': {
    id: 'getHealthByItsOldName',
    tag: 'operations',
    summary: 'The same by the name that the original has for it',
    replies: { 200: TEXT },
  },
}

export function sessionApi(version: string): Schema {
  return documentOf({
    title: 'AgentKeys session backend',
    version,
    description:
      'Sessions of the backend that a broker has built in, and what wallets keep there. Requests of web pages are refused.',
    server: 'the session listener that serves this description',
    tags: [
      { name: 'sessions', description: 'Who the caller is' },
      { name: 'account', description: 'Encrypted credentials, names, and what was done with them' },
      { name: 'inboxes', description: 'Mail of agents' },
      { name: 'operations', description: 'Health and this description' },
    ],
    bearer: 'A session. At most 4,096 characters of visible ASCII.',
    operations: { ...SESSIONS, ...ACCOUNT, ...INBOXES, ...OPERATIONS },
    schemas: SESSION_SCHEMAS,
    errorReplies: sessionErrorReplies,
  })
}
