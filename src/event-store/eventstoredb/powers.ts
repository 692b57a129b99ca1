// What a user of EventStoreDB may do to the ledger beyond appending to it.

import { AccessDeniedError, jsonEvent, metastreamOf, WrongExpectedVersionError } from '@eventstore/db-client'

import type { LedgerClient } from './client.js'
import type { Connection } from './connection.js'
import { readFailure } from './errors.js'

export type ExcessPermission = 'delete streams' | 'write stream metadata'

/** No stream gets this long: a request that expects it is refused for its rights, or else for its revision. */
const NEVER = 2n ** 62n

/**
 * Asked without leaving a trace, by requests that fail on their expected revision where they do not fail on their
 * rights. Deletion is asked of a stream that does not exist, so that no misreading of the server can cost the ledger.
 */
export async function excessPermissions(connection: Connection, stream: string): Promise<ExcessPermission[]> {
  const { credentials } = connection
  const options = { credentials, expectedRevision: NEVER }
  const nothing = jsonEvent({ type: '$metadata', data: {} })
  const mayDelete = await mayDo((client, deadline) =>
    client.deleteStream(`${stream}-probe`, { ...options, deadline }),
  )
  const mayWrite = await mayDo((client, deadline) =>
    client.appendToStream(metastreamOf(stream), nothing, { ...options, deadline }),
  )
  return [
    ...(mayDelete ? ['delete streams' as const] : []),
    ...(mayWrite ? ['write stream metadata' as const] : []),
  ]

  async function mayDo(ask: (client: LedgerClient, deadline: number) => Promise<unknown>): Promise<boolean> {
    try {
      await connection.answer(ask)
      return true
    } catch (error) {
      if (error instanceof AccessDeniedError && (error.code as number | undefined) !== 16) return false
      if (error instanceof WrongExpectedVersionError) return true
      throw readFailure(error)
    }
  }
}

export function permissionsProblem(powers: readonly ExcessPermission[]): string {
  return `this broker's EventStoreDB user may ${powers.join(' and ')}: run agentkeys-broker init-eventstore`
}
