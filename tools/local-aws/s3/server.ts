// S3 over HTTP, for the sessions and users of the same local AWS.

import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

import { StsError, type StsErrorCode } from '../errors.js'
import { type Fault, type FaultOrder, Faults, misbehave } from '../faults.js'
import { closed, listening, type Listener } from '../listener.js'
import type { World } from '../operations.js'
import { xmlDocument } from '../xml.js'
import { Access, type Asker } from './access.js'
import { S3Error, type S3ErrorCode, s3ErrorXml } from './errors.js'
import { routeOf } from './operations.js'
import { payloadOf } from './payload.js'
import { readS3Request, type S3Request } from './request.js'
import { Buckets, stored } from './store.js'
import type { S3Answer, S3World } from './world.js'

/** A call as it came in, whatever became of it. */
export interface S3CallRecord {
  action: string
  bucket: string
  key: string | undefined
  accessKeyId: string | undefined
  /** 'ok', the error code, what a fault did, or 'pending' until then. */
  outcome: string
}

/** An AWS service that writes in the name of one of its resources, as SES does for a receipt rule. */
export interface ServiceWriter {
  /** As ses.amazonaws.com. */
  service: string
  sourceArn: string
  sourceAccount: string
}

export interface LocalS3 {
  /** For AWS_ENDPOINT_URL_S3. */
  url: string
  readonly calls: readonly S3CallRecord[]
  failNext(fault: Fault, order?: Omit<FaultOrder, 'fault'>): void
  clearFaults(): void
  /** Puts an object as an AWS service does; throws S3Error AccessDenied where the bucket's policy does not let it. */
  deliver(writer: ServiceWriter, to: { bucket: string; key: string }, body: Buffer): void
  /** What is there, in no order, without a check of rights: for tests. */
  keys(bucket: string): string[]
  /** Stops listening and cuts every open connection. */
  close(): Promise<void>
}

export interface LocalS3Options {
  port: number
  host: string
  log?: ((line: string) => void) | undefined
}

export async function startLocalS3(world: World, options: LocalS3Options): Promise<LocalS3> {
  const server = new S3Server(world, options.log)
  const listener: Listener = await listening(
    (request, response) => void server.handle(request, response),
    options,
  )
  return {
    url: listener.url,
    calls: server.calls,
    failNext: (fault, order = {}) => server.faults.order({ fault, ...order }),
    clearFaults: () => server.faults.clear(),
    deliver: (writer, to, body) => server.deliver(writer, to, body),
    keys: (bucket) => [...server.s3.buckets.get(bucket).objects.keys()],
    close: () => {
      server.stopping.abort()
      return closed(listener)
    },
  }
}

class S3Server {
  readonly calls: S3CallRecord[] = []
  readonly faults = new Faults()
  readonly stopping = new AbortController()
  readonly s3: S3World

  constructor(
    readonly world: World,
    readonly log: ((line: string) => void) | undefined,
  ) {
    const buckets = new Buckets()
    for (const { name, account, policy } of world.account.buckets) buckets.create(name, account, policy)
    this.s3 = { access: new Access(world.account), buckets, now: world.now }
  }

  async handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const call: S3CallRecord = {
      ...{ action: '', bucket: '', key: undefined, accessKeyId: undefined },
      outcome: 'pending',
    }
    const requestId = randomUUID()
    const refuse = (error: { code: string; status: number; message: string }) => {
      call.outcome = error.code
      const text = s3ErrorXml(error, requestId)
      send(response, requestId, { status: error.status, headers: XML, body: Buffer.from(text) })
    }
    try {
      const request = await readS3Request(message)
      const { operation, name } = routeOf(request)
      this.#record(call, name, request)
      const fault = this.faults.take(name)
      const done = await misbehave(fault, { socket: message.socket, signal: this.stopping.signal, refuse })
      if (done !== undefined) {
        call.outcome = done
        return
      }
      const { asker, seed } = this.#identify(request)
      const payload = payloadOf(request, seed)
      const answer = operation(this.s3, { asker, request, payload })
      call.outcome = 'ok'
      send(response, requestId, answer)
    } catch (error) {
      if (response.destroyed || this.stopping.signal.aborted) return
      refuse(asRefusal(error))
      if (call.outcome === 'InternalError') this.log?.(`  because: ${(error as Error).stack}`)
    } finally {
      this.log?.(`S3 ${call.action} ${call.bucket} ${shown(call.key)} -> ${call.outcome}`)
    }
  }

  deliver(writer: ServiceWriter, { bucket: name, key }: { bucket: string; key: string }, body: Buffer): void {
    const bucket = this.s3.buckets.get(name)
    this.s3.access.require({ kind: 'service', ...writer }, bucket, { action: 's3:PutObject', key })
    bucket.objects.set(key, stored(body, new Map(), this.world.now()))
  }

  #record(call: S3CallRecord, action: string, { bucket, key, headers, query }: S3Request): void {
    const credential = /Credential=(\w+)(?:\/|%2F)/.exec(headers.get('authorization') ?? query)
    Object.assign(call, { action, bucket, key, accessKeyId: credential?.[1] })
    this.calls.push(call)
  }

  #identify(request: S3Request) {
    const isSigned = request.headers.has('authorization') || request.query.includes('X-Amz-Algorithm=')
    if (!isSigned) return { asker: { kind: 'anonymous' } satisfies Asker, seed: undefined }
    const { sessions, account, now } = this.world
    const { caller, seed } = sessions.verify(request, account, now())
    return { asker: caller, seed }
  }
}

const XML = { 'content-type': 'application/xml' }
const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/'

/** An answer to HEAD says how long a body would be, and has none: Node leaves it out. */
function send(response: ServerResponse, requestId: string, answer: S3Answer): void {
  const { status = 200, headers = {}, body = Buffer.alloc(0) } = answer
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(xmlDocument(body.root, body.content, NAMESPACE))
  const own = { 'x-amz-request-id': requestId, ...(status === 204 ? {} : { 'content-length': bytes.length }) }
  response.writeHead(status, { ...(Buffer.isBuffer(body) ? {} : XML), ...headers, ...own })
  response.end(bytes)
}

const CODES: Partial<Record<StsErrorCode, S3ErrorCode>> = {
  ExpiredToken: 'ExpiredToken',
  IncompleteSignature: 'InvalidRequest',
  InvalidClientTokenId: 'InvalidAccessKeyId',
  SignatureDoesNotMatch: 'SignatureDoesNotMatch',
}

function asRefusal(error: unknown): S3Error {
  if (error instanceof S3Error) return error
  const code = error instanceof StsError ? CODES[error.code] : undefined
  if (code !== undefined) return new S3Error(code, (error as Error).message)
  return new S3Error('InternalError', 'We encountered an internal error. Please try again.')
}

function shown(key = ''): string {
  return key.slice(0, 200).replace(/\p{C}/gu, '?')
}
