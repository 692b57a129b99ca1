// A stand-in for an EventStoreDB node: the gRPC calls @eventstore/db-client makes, over real sockets, in front of the
// rules in database.ts and access.ts. It is our reading of the server: the contract suite runs unchanged against a
// real node when ESDB_URL names one.
// Not modelled: scavenges, projections, persistent subscriptions, filters, follower staleness, idempotency of ANY.

import { setTimeout as pause } from 'node:timers/promises'

import { GossipService } from '@eventstore/db-client/generated/gossip_grpc_pb.js'
import { ServerFeaturesService } from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js'
import { StreamsService } from '@eventstore/db-client/generated/streams_grpc_pb.js'
import { UsersService } from '@eventstore/db-client/generated/users_grpc_pb.js'
import { type ServerDuplexStream, Server, ServerCredentials, status } from '@grpc/grpc-js'

import { Access, type User } from './access.js'
import { featureCalls, gossipCalls, userCalls } from './cluster.js'
import { Database } from './database.js'
import { type AppendFault, Plan, type ReadFault } from './faults.js'
import { failure } from './messages.js'
import type { Node, OpenRead } from './node.js'
import { readCall, responseSerialize } from './reading.js'
import { appendCall, deleteCall, tombstoneCall } from './writing.js'

export interface StandInOptions {
  /** Several stand-ins over one database are the nodes of one cluster. */
  database?: Database
  /** Without users the node is an insecure one and has no ACLs. */
  users?: Record<string, User>
  /** PEM. With it the node speaks TLS, which is what makes the client send credentials. */
  tls?: { key: Buffer; certificate: Buffer }
  caughtUpOnEmpty?: boolean
}

export class StandIn implements Node {
  readonly database: Database
  readonly access: Access
  readonly appends = new Plan<AppendFault>()
  readonly reads = new Plan<ReadFault>()
  readonly calls: string[] = []
  readonly openReads = new Set<OpenRead>()
  readonly caughtUpOnEmpty: boolean
  leader: { host: string; port: number } | undefined
  stopping = false
  deniedStaySilent = false
  /** 7 as seen with 26.1.0; 24.10 takes one. */
  deliveryDelayMs = 0
  /** How long an append takes to be applied: by default a chance few milliseconds, so that the order is not fixed. */
  applyDelayMs = () => Math.random() * 3
  port = 0
  private server: Server | undefined
  private restarting: Promise<void> | undefined

  constructor(private readonly options: StandInOptions = {}) {
    this.database = options.database ?? new Database()
    this.access = new Access(this.database, options.users && new Map(Object.entries(options.users)))
    this.caughtUpOnEmpty = options.caughtUpOnEmpty ?? true
  }

  /** Starts at `port`, by default where it was before or at any free one. The data of an earlier run is still there. */
  async start(port = this.port): Promise<this> {
    const server = new Server({ 'grpc.max_receive_message_length': 17 * 1024 * 1024 })
    const { read } = StreamsService
    server.addService(
      { ...StreamsService, read: { ...read, responseSerialize } },
      {
        append: appendCall(this),
        read: readCall(this),
        delete: deleteCall(this),
        tombstone: tombstoneCall(this),
        batchAppend: (call: ServerDuplexStream<unknown, unknown>) => {
          this.calls.push('batchAppend')
          call.emit('error', failure(status.UNIMPLEMENTED, 'the ledger must be written with Append'))
        },
      },
    )
    server.addService(ServerFeaturesService, featureCalls(this))
    server.addService(
      GossipService,
      gossipCalls(this, () => ({ host: '127.0.0.1', port: this.port })),
    )
    server.addService(UsersService, userCalls(this))
    this.port = await listen(server, port, this.options.tls)
    this.server = server
    this.stopping = false
    return this
  }

  /** A connection string without credentials. */
  get url(): string {
    return `esdb://127.0.0.1:${this.port}?tls=${this.options.tls ? 'true' : 'false'}`
  }

  /** As a crash: the port closes and every connection breaks off. */
  kill(): void {
    this.server?.forceShutdown()
    this.server = undefined
    this.openReads.clear()
  }

  /** Every connection breaks off, and the node is back a moment later. */
  cutConnections(): void {
    this.kill()
    this.restarting = this.start().then(() => undefined)
  }

  /** As SIGTERM: no new connections, silence on the open subscriptions, then they end with code 13. */
  async stop(silenceMs = 5000): Promise<void> {
    this.stopping = true
    this.server?.tryShutdown(() => undefined)
    await pause(silenceMs)
    for (const read of [...this.openReads])
      read.end(failure(status.INTERNAL, 'Received RST_STREAM with code 0'))
    await pause(20)
    this.kill()
  }

  async dispose(): Promise<void> {
    await this.restarting
    this.kill()
  }
}

function listen(server: Server, port: number, tls: StandInOptions['tls']): Promise<number> {
  const credentials = tls
    ? ServerCredentials.createSsl(null, [{ private_key: tls.key, cert_chain: tls.certificate }])
    : ServerCredentials.createInsecure()
  return new Promise((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, bound) => {
      if (error) reject(error)
      else resolve(bound)
    })
  })
}
