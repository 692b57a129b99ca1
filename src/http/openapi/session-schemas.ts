// The models of the session API.

import { MOST_SERVICES } from '../../domain/ledger/child-session.js'
import { SESSION_ERROR_SCHEMA } from './errors.js'
import { flag, list, object, type Schema, text, whole } from './schemas.js'

const WALLET_EXAMPLE = `0x${'ab'.repeat(20)}`
const ADDRESS_EXAMPLE = 'bot-0123456789abcdef@agentkeys-email.io'

const wallet = text('the wallet, in lower case', WALLET_EXAMPLE, { pattern: '^0x[0-9a-f]{40}$' })
export const anyWallet = (whose: string) =>
  text(`the wallet ${whose}`, WALLET_EXAMPLE, { pattern: '^0x[0-9a-fA-F]{40}$' })
const session = text('a bearer: nothing shows it again', 'ab'.repeat(32), { minLength: 1, maxLength: 4096 })
const time = (what: string) => text(`${what}, RFC 3339 in UTC`, '2026-11-27T18:00:00.000Z')
const done: Schema = { const: true, description: 'done', examples: [true] }
const id = (of: string) => text(`the id of ${of}, a UUID`, '8c6f9b0e-3c1d-4f5a-9e2f-0123456789ab')
const ciphertext = text('base64 of what the owner encrypted', 'q83vEg==', {
  pattern: '^[A-Za-z0-9+/]{4,12000}={0,2}$',
})
const service = text('name of the service', 'github', { pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' })
const scope = object({
  services: {
    ...list(text('name of a service; aws for AWS', 'aws', { pattern: '^[A-Za-z0-9._:-]{1,64}$' })),
    maxItems: MOST_SERVICES,
  },
  read_only: flag('nothing is minted or changed with it'),
})
const mailText = (what: string, longest: number) => text(what, 'hello', { maxLength: longest })
const identityType: Schema = {
  type: 'string',
  enum: ['alias', 'email'],
  description: 'what the name is',
  examples: ['alias'],
}

export const SESSION_SCHEMAS: Readonly<Record<string, Schema>> = {
  Error: SESSION_ERROR_SCHEMA,
  Start: object({
    name: text('what this is', 'AgentKeys session backend'),
    version: text('version of the broker', '0.1.0'),
    description: text('path of this description', '/openapi.json'),
  }),
  CreateSession: object({
    auth_token: text('the same again is the same wallet', 'alice', { maxLength: 4096 }),
  }),
  IssuedSession: object({ session, wallet }),
  ValidSession: object(
    {
      wallet,
      scope,
      parents: list(
        object({
          wallet,
          session_sha256: text('SHA-256 of its bearer', 'ab'.repeat(32), { pattern: '^[0-9a-f]{64}$' }),
        }),
      ),
    },
    ['scope', 'parents'],
  ),
  ChildSession: object({ scope }),
  RevokeSession: {
    ...object(
      {
        target_session: text('a session', 'ab'.repeat(32), { maxLength: 4096 }),
        target_wallet: anyWallet(''),
      },
      ['target_session', 'target_wallet'],
    ),
    description: 'exactly one of the two',
    minProperties: 1,
    maxProperties: 1,
  },
  Revoked: object({ ok: done, sessions_revoked: whole('how many sessions of the wallet ended', 2) }, [
    'sessions_revoked',
  ]),
  Scope: scope,
  SetScope: object({ target_wallet: anyWallet('of the agent'), scope }),
  ScopeSet: object({ ok: done, updated: whole('how many sessions have it now', 1) }),
  StoreCredential: object({ agent_id: anyWallet('of the agent'), service, ciphertext }),
  Agent: object({ agent_id: anyWallet('of the agent') }),
  Done: object({ ok: done }),
  Credential: object({ ciphertext }),
  Services: object({ services: list(text('name of a service', 'github')) }),
  Usage: object({
    events: list(
      object({
        owner: wallet,
        agent: wallet,
        service: text('name of the service; empty for a teardown', 'github'),
        action: text('what was done', 'read'),
        result: text('allowed, or why not', 'allowed'),
        timestamp: time('when'),
      }),
    ),
  }),
  LinkIdentity: object({
    identity_type: identityType,
    identity_value: text('the name', 'crawler', { minLength: 1, maxLength: 254 }),
    wallet_address: anyWallet('that gets the name'),
  }),
  Identity: object({ wallet_address: wallet }),
  Inbox: object({ address: text('the address', ADDRESS_EXAMPLE), agent_wallet: wallet }),
  InboxOwner: object({ wallet }),
  Inboxes: list(text('an address', ADDRESS_EXAMPLE)),
  Messages: list(
    object({
      msg_id: id('the message'),
      from: mailText('the sender', 320),
      subject: mailText('the subject', 998),
      body: mailText('the text', 12_000),
      received_at: time('when it came'),
    }),
  ),
  Mail: object(
    {
      address: text('an address of an inbox', ADDRESS_EXAMPLE, {
        pattern: '^[^\\s@]{1,64}@[A-Za-z0-9.-]{1,190}$',
      }),
      from: { ...mailText('the sender', 320), minLength: 1 },
      subject: mailText('the subject', 998),
      body: mailText('the text', 12_000),
    },
    ['subject', 'body'],
  ),
  Delivered: object({ msg_id: id('the message') }),
  StartLogin: object({
    address: text('lower case, or as EIP-55 spells it', WALLET_EXAMPLE, { minLength: 1, maxLength: 64 }),
    chain_id: whole('EIP-155', 1, 1),
  }),
  Challenge: object({
    request_id: text('for verify', 'ab'.repeat(16)),
    expires_in_seconds: whole('how long it may be answered, seconds', 300),
    expires_at_iso: time('until when'),
    siwe_message: text('what the wallet signs: EIP-4361', 'example.com wants you to sign in …'),
    nonce: text('which the message holds', 'a1b2c3d4e5f6a7b8'),
  }),
  VerifyLogin: object({
    request_id: text('of the challenge', 'ab'.repeat(16), { minLength: 1, maxLength: 64 }),
    signature: text('EIP-191, 65 bytes in hex', `0x${'ab'.repeat(65)}`, { minLength: 1, maxLength: 200 }),
  }),
}
