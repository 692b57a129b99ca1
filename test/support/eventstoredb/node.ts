import type { Metadata, ServiceError } from '@grpc/grpc-js'

import type { Access } from './access.js'
import type { Database } from './database.js'
import type { AppendFault, Plan, ReadFault } from './faults.js'
import { notLeader } from './messages.js'

/** What a running node lends to its calls. */
export interface Node {
  readonly database: Database
  readonly access: Access
  readonly appends: Plan<AppendFault>
  readonly reads: Plan<ReadFault>
  /** Every call the node got, oldest first: 'append', 'read agentkeys-ledger', … */
  readonly calls: string[]
  /** Reads and subscriptions that are open right now. */
  readonly openReads: Set<OpenRead>
  /** The other node that leads, where this one is a follower. */
  readonly leader: { host: string; port: number } | undefined
  /** Whether a subscription to an empty stream hears at once that it has caught up: 24.6.0 does, 23.10.6 does not. */
  readonly caughtUpOnEmpty: boolean
  /** Whether a subscription whose reader lost its right hears nothing more; else it ends, refused. */
  readonly deniedStaySilent: boolean
  /** On its way down: subscriptions are silent. */
  readonly stopping: boolean
  /** How much later than its acknowledgement an append reaches subscriptions. */
  readonly deliveryDelayMs: number
  applyDelayMs(): number
  cutConnections(): void
}

export interface OpenRead {
  stream: string
  /** Ends the call with an error, or with status OK. */
  end(error?: Error): void
}

export function authorization(call: { metadata: Metadata }): string | undefined {
  return call.metadata.get('authorization')[0]?.toString()
}

/** A follower serves what it is asked for, unless the caller insists on the leader: then it says who that is. */
export function redirected(node: Node, call: { metadata: Metadata }): ServiceError | undefined {
  const insists = call.metadata.get('requires-leader')[0] === 'true'
  return node.leader && insists ? notLeader(node.leader) : undefined
}
