// What keeps the shared ledger append-only against the broker itself: users with no more rights than they need. An
// administrator sets it up once; each broker checks at start that it holds. docs/eventstoredb.md, "Rights".

import {
  BACKWARDS,
  convertToCommandError,
  END,
  jsonEvent,
  LoginConflictError,
  LoginNotFoundError,
  NO_STREAM,
} from '@eventstore/db-client'
import { UsersClient } from '@eventstore/db-client/generated/users_grpc_pb.js'
import usersPb from '@eventstore/db-client/generated/users_pb.js'

import { canonicalize, type Json } from '../../domain/ledger/canonical.js'
import { StoreError } from '../event-store.js'
import type { Address, Credentials } from './address.js'
import type { LedgerClient } from './client.js'
import { Connection } from './connection.js'
import { grantsOf } from './metadata.js'
import { type ExcessPermission, excessPermissions } from './powers.js'
import { LedgerStream } from './stream.js'
import { diagnoseTlsFailure } from './tls.js'

export const APP_USER = 'ledger-app'
export const AUDIT_USER = 'ledger-audit'

/** `$d` covers soft delete and tombstone, `$mw` covers $tb, $maxCount, $maxAge and the ACL itself. */
const DEFAULT_ACL = {
  $userStreamAcl: {
    $r: [APP_USER, AUDIT_USER],
    $w: [APP_USER],
    $d: '$admins',
    $mr: [APP_USER, AUDIT_USER],
    $mw: '$admins',
  },
  $systemStreamAcl: { $r: '$admins', $w: '$admins', $d: '$admins', $mr: '$admins', $mw: '$admins' },
}

export type SetupStep =
  | { step: 'user'; name: string; outcome: 'created' | 'already there' | 'password set' }
  | { step: 'default ACL'; outcome: 'set' | 'already there' | 'repaired' }

/**
 * `address` is an administrator's. Run again it changes nothing but the passwords, which become the given ones, and a
 * default ACL that it has set before and that was changed since, which it sets again.
 */
export async function initEventStore(
  address: Address,
  passwords: { app: string; audit: string },
): Promise<SetupStep[]> {
  return connected(address, async (connection) => [
    // The ACL first: while it is missing, a user that exists may delete.
    await setDefaultAcl(connection),
    await setUser(connection, { username: APP_USER, password: passwords.app }),
    await setUser(connection, { username: AUDIT_USER, password: passwords.audit }),
  ])
}

async function connected<T>(address: Address, work: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = new Connection(address)
  try {
    return await work(connection)
  } catch (error) {
    throw await diagnoseTlsFailure(error, address)
  } finally {
    connection.close()
  }
}

async function setDefaultAcl(connection: Connection): Promise<SetupStep> {
  const { credentials } = connection
  const found = await connection.collect((client) =>
    client.readStream('$settings', { credentials, direction: BACKWARDS, fromRevision: END }),
  )
  const acls = found?.filter(({ type }) => type === 'update-default-acl') ?? []
  const ours = acls.findIndex(({ data }) => canonicalize(data as Json) === canonicalize(DEFAULT_ACL))
  if (ours === 0) return { step: 'default ACL', outcome: 'already there' }
  if (ours < 0 && acls.length > 0)
    throw new StoreError(
      'refused',
      "this EventStoreDB has a default ACL in $settings that init-eventstore did not set, and that may be another application's: " +
        'give the ledger a database of its own',
    )
  const event = jsonEvent({ type: 'update-default-acl', data: DEFAULT_ACL })
  const head = found?.[0]
  await connection.answer((client, deadline) =>
    client.appendToStream('$settings', event, {
      credentials,
      deadline,
      expectedRevision: head ? head.revision : NO_STREAM,
    }),
  )
  return { step: 'default ACL', outcome: ours > 0 ? 'repaired' : 'set' }
}

async function setUser(connection: Connection, user: Credentials): Promise<SetupStep> {
  // The server takes the creation of a user that exists, with the password that it has, for a success.
  const known = await connection.answer((client) => isUser(client, connection.credentials, user.username))
  try {
    await connection.answer((client) => createUser(client, connection.credentials, user))
    return { step: 'user', name: user.username, outcome: known ? 'already there' : 'created' }
  } catch (error) {
    if (!(error instanceof LoginConflictError)) throw error
    await connection.answer((client) => resetPassword(client, connection.credentials, user))
    return { step: 'user', name: user.username, outcome: 'password set' }
  }
}

// The client has no user management of its own, but ships the stubs of the server's Users service.

function isUser(client: LedgerClient, admin: Credentials, name: string): Promise<boolean> {
  const options = new usersPb.DetailsReq.Options().setLoginName(name)
  const request = new usersPb.DetailsReq().setOptions(options)
  return client.callService(
    UsersClient,
    'userDetails',
    { credentials: admin },
    (users, ...options) =>
      new Promise<boolean>((resolve, reject) => {
        let found = false
        const call = users.details(request, ...options)
        call.on('data', () => (found = true))
        call.on('end', () => resolve(found))
        call.on('error', (error: Error) => {
          const failure = convertToCommandError(error)
          if (failure instanceof LoginNotFoundError) resolve(false)
          else reject(failure)
        })
      }),
  )
}

function createUser(client: LedgerClient, admin: Credentials, user: Credentials): Promise<void> {
  const options = new usersPb.CreateReq.Options().setLoginName(user.username).setPassword(user.password)
  const request = new usersPb.CreateReq().setOptions(options.setFullName('AgentKeys ledger'))
  return client.callService(UsersClient, 'createUser', { credentials: admin }, (users, ...options) =>
    answered((done) => users.create(request, ...options, done)),
  )
}

function resetPassword(client: LedgerClient, admin: Credentials, user: Credentials): Promise<void> {
  const options = new usersPb.ResetPasswordReq.Options()
  options.setLoginName(user.username).setNewPassword(user.password)
  const request = new usersPb.ResetPasswordReq().setOptions(options)
  return client.callService(UsersClient, 'resetPassword', { credentials: admin }, (users, ...options) =>
    answered((done) => users.resetPassword(request, ...options, done)),
  )
}

function answered(call: (done: (error: Error | null) => void) => unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    call((error) => (error ? reject(convertToCommandError(error)) : resolve()))
  })
}

/** By what the ledger is not append-only: it should be nothing. */
export interface PermissionAudit {
  /** What the broker's user may do beyond appending. */
  powers: ExcessPermission[]
  /** What an `$acl` of the stream's own gives to others than administrators: `$d to somebody`. */
  ownAcl: string[]
}

/** Rejects with StoreError; 'refused' too where the stream's metadata hides entries, or will, or may not be read. */
export async function auditPermissions(address: Address, stream: string): Promise<PermissionAudit> {
  return connected(address, async (connection) => {
    const metadata = await new LedgerStream(connection, stream).wholeMetadata()
    return { powers: await excessPermissions(connection, stream), ownAcl: grantsOf(metadata) }
  })
}
