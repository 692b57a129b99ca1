import type { ServerOptions } from 'node:http'
import type { AddressInfo } from 'node:net'

import { type ArgumentMetadata, type DynamicModule, Module, type PipeTransform } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify'
import type { Logger } from 'pino'

import { formatAddress, isLoopback } from '../config/address.js'
import { EmbeddedSessions } from '../session/embedded-sessions.js'
import { WalletLogin } from '../session/wallet-login.js'
import { VERSION } from '../version.js'
import { AccountController } from './account.controller.js'
import { refuseAmbiguousRequests } from './ambiguous-request.js'
import { BODY_LIMIT, readBodies } from './body.js'
import { endConnectionsAtClose } from './closing.js'
import { Connections, type Handler } from './connections.js'
import { newRequestId } from './error-body.js'
import { readFields } from './fields.js'
import { connectionRefuser, urlRefuser } from './malformed-request.js'
import { NO_SCHEMAS } from './no-schemas.js'
import { serveDescription } from './openapi/serve-description.js'
import { sessionApi } from './openapi/session-api.js'
import { setUpReplies } from './replies.js'
import { logRequests } from './request-log.js'
import {
  refuseSessionOverload,
  sendSessionError,
  SessionApiError,
  sessionErrorBody,
} from './session-error-body.js'
import { SessionErrorFilter } from './session-error.filter.js'
import { SessionController } from './session.controller.js'
import { InboxOwnerController } from './inbox-owner.controller.js'
import { guardSessions } from './session-guard.js'
import { SessionSettings } from './session-settings.js'
import { WalletLoginController } from './wallet-login.controller.js'

const SERVER_OPTIONS: ServerOptions = { requestTimeout: 10_000, connectionsCheckingInterval: 5_000 }

@Module({})
class SessionBackendModule {
  static of(sessions: EmbeddedSessions, login: WalletLogin, settings: SessionSettings): DynamicModule {
    return {
      module: SessionBackendModule,
      controllers: [SessionController, AccountController, InboxOwnerController, WalletLoginController],
      providers: [
        { provide: EmbeddedSessions, useValue: sessions },
        { provide: WalletLogin, useValue: login },
        { provide: SessionSettings, useValue: settings },
      ],
    }
  }
}

export interface SessionListener {
  url: string
  /** Requests under way are answered first. The sessions themselves stay open. */
  close(): Promise<void>
}

/**
 * Serves the session backend. Where it is not exposed, on loopback only: who reaches `/session/create` is let in. Port 0
 * takes a free one.
 * Nest has one logger for the whole process; the start sets it.
 */
export async function startSessionListener(
  sessions: EmbeddedSessions,
  { host, port }: { host: string; port: number },
  settings: SessionSettings,
  log: Logger,
): Promise<SessionListener> {
  // An IPv4 address in IPv6 form is none to bind to here.
  if (!settings.exposed && (!isLoopback(host) || /^::ffff:/i.test(host)))
    throw new Error(
      `the embedded session backend lets in anyone who can reach it, and ${JSON.stringify(host)} is not a loopback address: ` +
        'bind it to 127.0.0.1 or [::1], or set BROKER_BACKEND_URL to a session backend of your own',
    )
  const app = await application(
    sessions,
    new WalletLogin(
      new URL(settings.sessionUrl ?? `http://${formatAddress({ host, port })}`),
      () => new Date(),
    ),
    settings,
    log,
  )
  try {
    // Not left to the resolver, which may know a `localhost` that is somewhere else.
    await app.listen(port, host.toLowerCase() === 'localhost' ? '127.0.0.1' : host)
  } catch (error) {
    await app.close()
    throw error
  }
  const { address, port: bound, family } = app.getHttpServer().address() as AddressInfo
  return { url: `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}`, close: () => app.close() }
}

async function application(
  sessions: EmbeddedSessions,
  login: WalletLogin,
  settings: SessionSettings,
  log: Logger,
): Promise<NestFastifyApplication> {
  const connections = connectionsOf(log)
  const adapter = adapterOf(connections, log)
  const server = adapter.getInstance()
  setUpReplies(server)
  guardSessions(server, settings)
  refuseAmbiguousRequests(server)
  readBodies(server)
  endConnectionsAtClose(server, connections)
  logRequests(server, log)
  const app = await NestFactory.create<NestFastifyApplication>(
    SessionBackendModule.of(sessions, login, settings),
    adapter,
    {
      abortOnError: false,
      // body.ts reads them; Nest would add a parser for forms.
      bodyParser: false,
    },
  )
  app.useGlobalFilters(new SessionErrorFilter(log))
  app.useGlobalPipes(new BodyPipe())
  serveDescription(server, 'AgentKeys session backend', sessionApi(VERSION))
  return app
}

function connectionsOf(log: Logger): Connections {
  return new Connections((request, response) => {
    const requestId = refuseSessionOverload(request, response)
    const { method } = request
    log.info({ requestId, method, route: 'unknown', status: 503, outcome: 'overloaded' }, 'request')
  })
}

function adapterOf(connections: Connections, log: Logger): FastifyAdapter {
  const notFound = new SessionApiError('no-such-path', 'no such route')
  return new FastifyAdapter({
    ...NO_SCHEMAS,
    bodyLimit: BODY_LIMIT,
    serverFactory: (handler: Handler) => connections.createServer(SERVER_OPTIONS, handler),
    genReqId: newRequestId,
    forceCloseConnections: 'idle',
    clientErrorHandler: connectionRefuser(log, sessionErrorBody),
    frameworkErrors: urlRefuser(log, (reply) => void sendSessionError(reply, notFound)),
  })
}

class BodyPipe implements PipeTransform {
  transform(value: unknown, { type, metatype }: ArgumentMetadata): unknown {
    if (type !== 'body' || !metatype) return value
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new SessionApiError('body-malformed', 'the body must be a JSON object')
    const reading = readFields(metatype as new () => object, value)
    if ('read' in reading) return reading.read
    const [{ text = 'malformed', undeclared } = {}] = reading.problems
    throw new SessionApiError(undeclared === undefined ? 'invalid-field' : 'unknown-field', complaint(text))
  }
}

/** A field's name is the caller's text: it is cut short. */
function complaint(text: string): string {
  return text.replace(/\p{C}/gu, '').slice(0, 200)
}
