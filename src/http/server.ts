import type { ServerOptions } from 'node:http'

import { NestFactory } from '@nestjs/core'
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify'
import type { Logger } from 'pino'

import { RefusalCounter } from '../commands/refusal-counter.js'
import { NestLog } from '../logging.js'
import { refuseAmbiguousRequests } from './ambiguous-request.js'
import { BODY_LIMIT, readBodies } from './body.js'
import { ErrorFilter } from './error.filter.js'
import { connectionRefuser, urlRefuser } from './malformed-request.js'
import { Config } from '../config.js'
import { allowOtherOrigins } from './cross-origin.js'
import { endConnectionsAtClose } from './closing.js'
import { Connections, type Handler } from './connections.js'
import { errorBody, newRequestId } from './error-body.js'
import { sendError } from './error-reply.js'
import { refuseOverloaded } from './overload.js'
import { Metrics } from './metrics.js'
import { logRequests } from './request-log.js'
import { NO_SCHEMAS } from './no-schemas.js'
import { brokerApi } from './openapi/broker-api.js'
import { serveDescription } from './openapi/serve-description.js'
import { setUpReplies } from './replies.js'
import { NO_SUCH_PATH, refuseEncodedPaths } from './unknown-route.js'

/** A slow sender may not hold a connection longer than this. */
export const SERVER_OPTIONS: ServerOptions = {
  requestTimeout: 30_000,
  keepAliveTimeout: 72_000,
  connectionsCheckingInterval: 5_000,
}

/** The Nest application, ready to listen: routes, bodies, errors, log lines, metrics, the API's description. */
export async function createServer(
  module: Parameters<typeof NestFactory.create>[0],
  log: Logger,
  version: string,
): Promise<NestFastifyApplication> {
  const connections = new Connections((request, response) => {
    const { method = '' } = request
    const requestId = refuseOverloaded(request, response)
    app.get(Metrics).observe({ method, route: 'unknown', outcome: 'overloaded' }, 0)
    log.info({ requestId, method, route: 'unknown', status: 503, outcome: 'overloaded' }, 'request')
  })
  const adapter = new FastifyAdapter({
    ...NO_SCHEMAS,
    bodyLimit: BODY_LIMIT,
    serverFactory: (handler: Handler) => connections.createServer(SERVER_OPTIONS, handler),
    genReqId: newRequestId,
    // What a proxy says of the caller's address is not believed; nothing here depends on it.
    trustProxy: false,
    forceCloseConnections: 'idle',
    clientErrorHandler: connectionRefuser(log, errorBody),
    frameworkErrors: urlRefuser(log, (reply) => sendError(reply, NO_SUCH_PATH)),
    // What arrives on an open connection while the last answers are given is answered too, as the contract says.
    return503OnClosing: false,
  })
  const options = { abortOnError: false, bodyParser: false as const, logger: new NestLog(log) }
  const app = await NestFactory.create<NestFastifyApplication>(module, adapter, options)
  const server = app.getHttpAdapter().getInstance()
  setUpReplies(server)
  refuseEncodedPaths(server)
  allowOtherOrigins(server, app.get(Config).ledger.entries === 'public')
  refuseAmbiguousRequests(server)
  readBodies(server)
  endConnectionsAtClose(server, connections)
  app.get(Metrics).watch(connections)
  logRequests(server, log, app.get(Metrics))
  app.useGlobalFilters(new ErrorFilter(log, app.get(RefusalCounter)))
  serveDescription(server, 'AgentKeys Broker', brokerApi(version))
  await app.init()
  return app
}
