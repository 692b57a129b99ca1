import { isIPv4, type AddressInfo } from 'node:net'

import { BadRequestException, type DynamicModule, Module, ValidationPipe } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify'
import { type ValidationError } from 'class-validator'
import { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'

import { EmbeddedSessions } from '../session/embedded-sessions.js'
import { endConnectionsAtClose } from './connections.js'
import { sendSessionError, SessionErrorFilter } from './session-error.filter.js'
import { SessionController } from './session.controller.js'

const MAX_BODY_BYTES = 16 * 1024
const REQUEST_TIMEOUT_MS = 10_000

@Module({})
class SessionBackendModule {
  static of(sessions: EmbeddedSessions): DynamicModule {
    return {
      module: SessionBackendModule,
      controllers: [SessionController],
      providers: [{ provide: EmbeddedSessions, useValue: sessions }],
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
): Promise<SessionListener> {
  if (!isLoopback(host))
    throw new Error(
      `the embedded session backend lets in whoever can reach it, and ${JSON.stringify(host)} is not a loopback address: ` +
        'bind it to 127.0.0.1 or [::1], or set BROKER_BACKEND_URL to a session backend of your own',
    )
  const app = await application(sessions)
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

async function application(sessions: EmbeddedSessions): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: 'idle',
  })
  guard(adapter.getInstance())
  endConnectionsAtClose(adapter.getInstance())
  const app = await NestFactory.create<NestFastifyApplication>(SessionBackendModule.of(sessions), adapter, {
    abortOnError: false,
    // Fastify's own JSON parser stays, which refuses `__proto__`; Nest would add one for forms.
    bodyParser: false,
  })
  app.useGlobalFilters(new SessionErrorFilter())
  app.useGlobalPipes(
    new ValidationPipe({
      whitelist: true,
      forbidNonWhitelisted: true,
      exceptionFactory: (errors) => new BadRequestException(complaint(errors)),
    }),
  )
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
  if (method === 'POST' && !/^application\/json\s*(?:;.*)?$/i.test(headers['content-type'] ?? ''))
    return (reply) =>
      sendSessionError(reply, 'UNSUPPORTED_MEDIA_TYPE', 'the content type must be application/json')
  return undefined
}

/**
 * What Nest and class-transformer would drop or choke on before the validation sees it: they skip members with these
 * names in silence, where an unknown field is an error here, and they descend as deep as the body goes.
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

/** The first complaint, with the way to its field. A field's name is the caller's text: it is cut short. */
function complaint(errors: ValidationError[]): string {
  const path: string[] = []
  let error = errors[0]
  for (; error && !error.constraints; error = error.children?.[0]) path.push(error.property)
  const text = Object.values(error?.constraints ?? {})[0] ?? 'malformed'
  return [...path, text].join(': ').replace(/\p{C}/gu, '').slice(0, 200)
}
