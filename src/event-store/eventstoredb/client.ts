// The EventStoreDB client, with the calls that its public methods lack or make too expensive. The only file that uses its
// protected members; package.json pins its exact version for that.

import { type BaseOptions, EventStoreDBClient, type GRPCClientConstructor } from '@eventstore/db-client'
import type { CallOptions, Client, ClientReadableStream, Metadata } from '@grpc/grpc-js'

export class LedgerClient extends EventStoreDBClient {
  /** Connects at the first call, but reads the certificate files now. Throws what the client throws. */
  static connect(url: string): LedgerClient {
    // connectionString makes the base class, whichever class it is called on.
    return Object.setPrototypeOf(
      EventStoreDBClient.connectionString(url),
      LedgerClient.prototype,
    ) as LedgerClient
  }

  /** One call of a service whose stubs the client ships. Rejects with what `send` rejects with, or the connection's error. */
  callService<Stub extends Client, T>(
    service: GRPCClientConstructor<Stub>,
    name: string,
    options: BaseOptions,
    send: (stub: Stub, metadata: Metadata, options: CallOptions) => Promise<T>,
  ): Promise<T> {
    return this.execute(service, name, (stub) => send(stub, ...this.callArguments(options)))
  }

  /** One call without a deadline whose replies are a stream. */
  openStream<Stub extends Client, Reply>(
    service: GRPCClientConstructor<Stub>,
    name: string,
    options: BaseOptions,
    send: (stub: Stub, metadata: Metadata, options: CallOptions) => ClientReadableStream<Reply>,
  ): Promise<ClientReadableStream<Reply>> {
    const open = this.GRPCStreamCreator(service, name, (stub) =>
      send(stub, ...this.callArguments(options, { deadline: Infinity })),
    )
    return open()
  }

  /**
   * dispose() cancels the calls and leaves the connection open. It is not waited for: it never ends when a stream was
   * left that the server had already finished.
   */
  close(): void {
    this.dispose().catch(ignore)
    this.getChannel().then((channel) => channel.close(), ignore)
  }
}

const ignore = (): void => undefined
