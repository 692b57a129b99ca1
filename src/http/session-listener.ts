import type { ServerOptions } from 'node:http'
import { isIPv4, type AddressInfo } from 'node:net'

import {
  type ArgumentMetadata,
  BadRequestException,
  type DynamicModule,
  Module,
  type PipeTransform,
} from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify'
import { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'

import { EmbeddedSessions } from '../session/embedded-sessions.js'
import { WalletLogin } from '../session/wallet-login.js'
import { AccountController } from './account.controller.js'
import { endConnectionsAtClose } from './closing.js'
import { Connections, type Handler } from './connections.js'
import { readFields } from './fields.js'
import { NO_SCHEMAS } from './no-schemas.js'
import { refuseSessionOverload, sendSessionError, SessionErrorFilter } from './session-error.filter.js'
import { SessionController } from './session.controller.js'
import { SessionSettings } from './session-settings.js'
import { WalletLoginController } from './wallet-login.controller.js'

const MAX_BODY_BYTES = 16 * 1024
const SERVER_OPTIONS: ServerOptions = { requestTimeout: 10_000, connectionsCheckingInterval: 5_000 }

@Module({})
class SessionBackendModule {
  static of(sessions: EmbeddedSessions, login: WalletLogin, settings: SessionSettings): DynamicModule {
    return {
      module: SessionBackendModule,
      controllers: [SessionController, AccountController, WalletLoginController],
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
 * Serves the embedded session backend, on loopback only: who reaches `/session/create` is let in. Port 0 takes a free one.
 * Nest has one logger for the whole process; whoever starts the broker sets it.
 */
export async function startSessionListener(
  sessions: EmbeddedSessions,
  { host, port }: { host: string; port: number },
  settings: SessionSettings,
): Promise<SessionListener> {
  if (!isLoopback(host))
    throw new Error(
      `the embedded session backend lets in whoever can reach it, and ${JSON.stringify(host)} is not a loopback address: ` +
        'bind it to 127.0.0.1 or [::1], or set BROKER_BACKEND_URL to a session backend of your own',
    )
  const app = await application(
    sessions,
    new WalletLogin(new URL(`http://${host}:${port}`), () => new Date()),
    settings,
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
): Promise<NestFastifyApplication> {
  const connections = new Connections(refuseSessionOverload)
  const adapter = new FastifyAdapter({
    ...NO_SCHEMAS,
    bodyLimit: MAX_BODY_BYTES,
    serverFactory: (handler: Handler) => connections.createServer(SERVER_OPTIONS, handler),
    forceCloseConnections: 'idle',
  })
  guard(adapter.getInstance())
  endConnectionsAtClose(adapter.getInstance(), connections)
  const app = await NestFactory.create<NestFastifyApplication>(
    SessionBackendModule.of(sessions, login, settings),
    adapter,
    {
      abortOnError: false,
      // Fastify's own JSON parser stays, which refuses `__proto__`; Nest would add one for forms.
      bodyParser: false,
    },
  )
  app.useGlobalFilters(new SessionErrorFilter())
  app.useGlobalPipes(new BodyPipe())
  return app
}

/**
 * A web page that the user of this machine has open can send requests here, and by rebinding its own name to 127.0.0.1
 * it can read the answers. But a browser always says where such a request comes from: in Host the page's name, in Origin
 * (of every POST) the page. A JSON body it may not send at all without asking first, and nobody answers that question.
 */
function guard(fastify: FastifyInstance): void {
  fastify.removeContentTypeParser('text/plain')
  fastify.addHook('onRequest', (request, reply, done) => {
    const objection = objectionTo(request)
    if (objection) objection(reply)
    else done()
  })
  fastify.addHook('preValidation', ({ body }, reply, done) => {
    if (isPlain(body)) done()
    else sendSessionError(reply, 'BAD_REQUEST', 'the body must be a JSON object')
  })
}

function objectionTo({
  method,
  headers,
  raw,
}: FastifyRequest): ((reply: FastifyReply) => FastifyReply) | undefined {
  const hosts = raw.rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host')
  if (hosts.length !== 1 || !isLoopback(hostName(headers.host ?? '')))
    return (reply) =>
      sendSessionError(reply, 'DENIED', 'the Host header must be a loopback address or localhost')
  if (headers.origin !== undefined)
    return (reply) => sendSessionError(reply, 'DENIED', 'requests from web pages are not served')
  // PUT and DELETE are preflighted by every browser, and nothing here answers a preflight.
  if (method === 'POST' && !/^application\/json\s*(?:;.*)?$/i.test(headers['content-type'] ?? ''))
    return (reply) =>
      sendSessionError(reply, 'UNSUPPORTED_MEDIA_TYPE', 'the content type must be application/json')
  return undefined
}

/**
 * Members with the names that every object inherits are refused before anything looks one up, and so is a body that is
 * nested deeper than any of ours.
 */
function isPlain(value: unknown, depth = 4): boolean {
  if (typeof value !== 'object' || value === null) return true
  const inherited = (name: string) => name === 'prototype' || name in Object.prototype
  if (depth === 0 || Object.keys(value).some(inherited)) return false
  return Object.values(value).every((member) => isPlain(member, depth - 1))
}

/** The port is not compared: through a tunnel it is another one. */
function hostName(header: string): string {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d{1,5})?$/.exec(header) ?? []
  return bracketed ?? plain ?? ''
}

function isLoopback(host: string): boolean {
  return host.toLowerCase() === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}

class BodyPipe implements PipeTransform {
  transform(value: unknown, { type, metatype }: ArgumentMetadata): unknown {
    if (type !== 'body' || !metatype) return value
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new BadRequestException('the body must be a JSON object')
    const reading = readFields(metatype as new () => object, value)
    if ('read' in reading) return reading.read
    throw new BadRequestException(complaint(reading.problems[0]?.text ?? 'malformed'))
  }
}

/** A field's name is the caller's text: it is cut short. */
function complaint(text: string): string {
  return text.replace(/\p{C}/gu, '').slice(0, 200)
}
