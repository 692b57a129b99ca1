// A local AWS over HTTP, STS and S3, to develop and test against. It knows no real account; its keys open nothing at AWS.

import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

import { isLoopback, parseAccount, type AccountConfig } from './account.js'
import { defaultAccount } from './default-account.js'
import { StsError } from './errors.js'
import { Faults, misbehave, type Fault, type FaultOrder } from './faults.js'
import { KEY_FETCH_TIMEOUT_MS } from './issuer-keys.js'
import { closed, listening } from './listener.js'
import { assumeRole, assumeRoleWithWebIdentity, getCallerIdentity, type World } from './operations.js'
import { parseForm, type Parameters } from './parameters.js'
import { headersOf } from './s3/request.js'
import { type LocalS3, startLocalS3 } from './s3/server.js'
import { Sessions, type Session } from './sessions.js'
import type { SignedRequest } from './sigv4.js'
import { xmlDocument, xmlError, type Content } from './xml.js'

export interface LocalAwsOptions {
  /** The issuer the default account trusts. Not together with `account`. */
  issuer?: string
  account?: AccountConfig
  /** Default 0: any free port. */
  port?: number
  /** Of S3. Default 0: any free port. */
  s3Port?: number
  /** A loopback address; default 127.0.0.1. Anything else is refused. */
  host?: string
  now?: () => Date
  keyFetchTimeoutMs?: number
  faults?: FaultOrder[]
  /** Gets a line for every call that was answered. No line holds a secret. */
  log?: (line: string) => void
}

/** A call as it came in, whatever became of it. */
export interface Call {
  action: string
  roleArn: string | undefined
  roleSessionName: string | undefined
  /** Of the key that signed it; undefined for a call that needs no signature. */
  accessKeyId: string | undefined
  /** 'ok', the error code, what a fault did ('hang', 'drop', 'empty'), or 'pending' until then. */
  outcome: string
}

export interface LocalAws {
  /** For AWS_ENDPOINT_URL_STS. */
  url: string
  /** Every call so far, in order. `[]` is how a test shows that STS was left alone. */
  readonly calls: readonly Call[]
  /** Puts a fault on order for the next call, the next `times` calls, or 'all'; of one action if named. */
  failNext(fault: Fault, order?: Omit<FaultOrder, 'fault'>): void
  clearFaults(): void
  /** A session by its access key id, without its secret: what its tags are, whom it names, when it ends. */
  session(accessKeyId: string): Session | undefined
  /** S3 for the same sessions and users, on a port of its own. */
  s3: LocalS3
  /** Stops listening and cuts every open connection, those a fault left hanging too. */
  close(): Promise<void>
}

/** Starts the STS. Throws AccountError or PolicyDocumentError for a configuration it cannot honour in full. */
export async function startLocalAws(options: LocalAwsOptions): Promise<LocalAws> {
  const { issuer, host = '127.0.0.1', port = 0 } = options
  if (!isLoopback(host)) throw new Error(`host ${host} must be a loopback address: this is a tool for tests`)
  if ((issuer === undefined) === (options.account === undefined))
    throw new Error('give either issuer or account')
  const world: World = {
    account: parseAccount(options.account ?? defaultAccount(issuer ?? '')),
    sessions: new Sessions(),
    now: options.now ?? (() => new Date()),
    keyFetchTimeoutMs: options.keyFetchTimeoutMs ?? KEY_FETCH_TIMEOUT_MS,
  }
  const sts = new LocalSts(world, options.log)
  for (const order of options.faults ?? []) sts.faults.order(order)
  const listener = await listening((request, response) => void sts.handle(request, response), { port, host })
  const s3 = await startLocalS3(world, { port: options.s3Port ?? 0, host, log: options.log }).catch(
    async (error: unknown) => {
      await closed(listener)
      throw error
    },
  )
  return {
    url: listener.url,
    calls: sts.calls,
    failNext: (fault, order = {}) => sts.faults.order({ fault, ...order }),
    clearFaults: () => sts.faults.clear(),
    session: (accessKeyId) => world.sessions.find(accessKeyId),
    s3,
    close: async () => {
      sts.stopping.abort()
      await Promise.all([closed(listener), s3.close()])
    },
  }
}

const UNREAD = { action: '', roleArn: undefined, roleSessionName: undefined, accessKeyId: undefined }

class LocalSts {
  readonly calls: Call[] = []
  readonly faults = new Faults()
  readonly stopping = new AbortController()

  constructor(
    readonly world: World,
    readonly log: ((line: string) => void) | undefined,
  ) {}

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const requestId = randomUUID()
    const call: Call = { ...UNREAD, outcome: 'pending' }
    try {
      const signed = await readRequest(request)
      const parameters = parseForm(
        signed.method === 'POST' ? Buffer.from(signed.body).toString('utf8') : signed.query,
      )
      this.#record(call, parameters, signed)
      const fault = this.faults.take(call.action)
      const refuse = (error: { code: string; status: number; message: string }) =>
        reply(response, requestId, error.status, xmlError(error, requestId))
      const done = await misbehave(fault, { socket: request.socket, signal: this.stopping.signal, refuse })
      if (done !== undefined) {
        call.outcome = done
        return
      }
      const content = fault?.kind === 'empty' ? {} : await this.#perform(call.action, signed, parameters)
      call.outcome = fault?.kind === 'empty' ? 'empty' : 'ok'
      reply(response, requestId, 200, success(call.action, content, requestId))
    } catch (error) {
      // Cut off while reading or waiting: there is no caller left.
      if (response.destroyed || this.stopping.signal.aborted) return
      const { code, status, message } = asRefusal(error)
      call.outcome = code
      reply(response, requestId, status, xmlError({ code, status, message }, requestId))
      if (error instanceof Error && error.cause instanceof Error)
        this.log?.(`  because: ${reasonOf(error.cause)}`)
    } finally {
      this.log?.(logLine(call))
    }
  }

  #record(call: Call, parameters: Parameters, { headers }: SignedRequest): void {
    call.action = parameters.get('Action') ?? ''
    call.roleArn = parameters.get('RoleArn')
    call.roleSessionName = parameters.get('RoleSessionName')
    call.accessKeyId = /Credential=(\w+)\//.exec(headers.get('authorization') ?? '')?.[1]
    this.calls.push(call)
  }

  async #perform(action: string, request: SignedRequest, parameters: Parameters): Promise<Content> {
    const version = parameters.get('Version') ?? 'NO_VERSION_SPECIFIED'
    if (version === '2011-06-15') {
      if (action === 'AssumeRoleWithWebIdentity')
        return assumeRoleWithWebIdentity(this.world, request, parameters)
      if (action === 'AssumeRole') return assumeRole(this.world, request, parameters)
      if (action === 'GetCallerIdentity') return getCallerIdentity(this.world, request)
    }
    throw new StsError(
      'InvalidAction',
      `Could not find operation ${action || '(none)'} for version ${version}`,
    )
  }
}

/** One line, whatever the parameters hold. */
function logLine({ action, roleArn = '', roleSessionName = '', outcome }: Call): string {
  const asked = `${action || 'no action'} ${roleArn} ${roleSessionName}`
  return `${asked.slice(0, 300).replace(/\p{C}/gu, '?')} -> ${outcome}`
}

function success(action: string, content: Content, requestId: string): string {
  return xmlDocument(`${action}Response`, {
    [`${action}Result`]: content,
    ResponseMetadata: { RequestId: requestId },
  })
}

/** A token of 20,000 characters and a policy, form-encoded, and room to spare. */
const MAX_BODY_BYTES = 128 * 1024

async function readRequest(request: IncomingMessage): Promise<SignedRequest> {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2)
  const { method = '' } = request
  if (path !== '/' || (method !== 'POST' && method !== 'GET')) {
    throw new StsError('InvalidAction', 'STS answers POST / and GET / only')
  }
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    // Read to its end, so that the refusal is heard, but not kept.
    size += chunk.length
    if (size <= MAX_BODY_BYTES) chunks.push(chunk)
  }
  if (size > MAX_BODY_BYTES) {
    throw new StsError('RequestEntityTooLarge', `The request is longer than ${MAX_BODY_BYTES} bytes`)
  }
  return { method, path, query, headers: headersOf(request), body: Buffer.concat(chunks) }
}

function reply(response: ServerResponse, requestId: string, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'text/xml', 'x-amzn-requestid': requestId })
  response.end(body)
}

function asRefusal(error: unknown): { code: string; status: number; message: string } {
  if (error instanceof StsError) return error
  return { code: 'InternalFailure', status: 500, message: 'The request processing has failed' }
}

/** fetch says "fetch failed" and keeps the reason one level down. */
function reasonOf(cause: Error): string {
  return cause.cause instanceof Error ? `${cause.message}: ${cause.cause.message}` : cause.message
}
