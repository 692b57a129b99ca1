// A witness on a real socket. Left alone it is an honest one: C2SP tlog-witness, with real checks and cosignatures.
// Scripted, it does to its caller what others do.

import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

import { formatSignedCheckpoint } from '../../src/domain/ledger/checkpoint.js'
import { cosign } from '../../src/domain/ledger/cosignature.js'
import { EMPTY_ROOT, type TreeHead } from '../../src/domain/ledger/merkle.js'
import { formatSignatures, type NoteKey, type Signer, signerFromSeed } from '../../src/domain/ledger/note.js'
import { parseWitnessRequest } from '../../src/domain/ledger/witness-request.js'
import { judge, type Reply } from '../../tools/local-witness/judgement.js'

/**
 * honest    what an honest witness answers
 * held      the same, once `letGo` is called
 * silent    the request is read and never answered
 * reset     the connection is reset
 * flood     a good head, then a body without end
 * reply     any status, body and headers
 * lie       200, and a cosignature that is worth nothing: over another tree, by another key, with a bit flipped, or under
 *           the name and ID of the right key by another one
 */
export type Answer =
  | { kind: 'honest' | 'held' | 'silent' | 'reset' | 'flood' }
  | { kind: 'reply'; status: number; body?: string; headers?: Record<string, string> }
  | { kind: 'lie'; about: Lie }

export type Lie = 'tree' | 'key' | 'bit' | 'name'

export interface WitnessOptions {
  name: string
  seed: Uint8Array
  log: NoteKey
  port?: number
}

const HONEST: Answer = { kind: 'honest' }

export class WitnessServer {
  /** What it has cosigned last: set it, and it knows another tree. Checked and set in one step, as the protocol demands. */
  latest: TreeHead = { size: 0, root: EMPTY_ROOT }
  /** What it shows of the log to everybody, if anything: set by what it cosigns. Reading it is no request of `requests`. */
  shown: string | undefined
  /** What the next requests are answered, in turn; after them, `always`. */
  readonly script: Answer[] = []
  always = HONEST
  /** The bodies of all requests, in order. */
  readonly requests: string[] = []
  /** How many were made to it. */
  connections = 0
  /** The most that were under way at once. */
  mostInFlight = 0
  /** Unix seconds in its cosignatures: each has the next one. */
  time = 1_700_000_000
  /** Also once it is closed: it may be started there again. */
  port = 0
  private inFlight = 0
  private readonly held: (() => void)[] = []
  private readonly sockets = new Set<Socket>()
  private readonly signer: Signer

  private constructor(
    private readonly server: Server,
    private readonly options: WitnessOptions,
  ) {
    this.signer = signerFromSeed(options.name, 'cosignature', options.seed)
    server.on('request', (request, response) => void this.receive(request, response))
    server.on('connection', (socket) => {
      this.connections += 1
      this.sockets.add(socket)
      socket.on('close', () => this.sockets.delete(socket))
      socket.on('error', () => socket.destroy())
    })
  }

  static async start(options: WitnessOptions): Promise<WitnessServer> {
    const server = createServer()
    const witness = new WitnessServer(server, options)
    server.listen(options.port ?? 0, '127.0.0.1')
    await once(server, 'listening')
    witness.port = (server.address() as AddressInfo).port
    return witness
  }

  get key(): NoteKey {
    return this.signer.key
  }

  /** The submission prefix. */
  get url(): string {
    return `http://127.0.0.1:${this.port}/w`
  }

  /** Answers all that are held, and from now on none is held. */
  letGo(): void {
    if (this.always.kind === 'held') this.always = HONEST
    for (const go of this.held.splice(0)) go()
  }

  async close(): Promise<void> {
    if (!this.server.listening) return
    this.server.close()
    for (const socket of this.sockets) socket.destroy()
    await once(this.server, 'close')
  }

  private async receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.inFlight += 1
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight)
    response.once('close', () => (this.inFlight -= 1))
    const body = await bodyOf(request)
    if (request.method === 'GET' && /^\/w\/[0-9a-f]{64}\/checkpoint$/.test(request.url ?? ''))
      return reply(response, this.shown === undefined ? { status: 404 } : { status: 200, body: this.shown })
    if (request.method !== 'POST' || request.url !== '/w/add-checkpoint')
      return reply(response, { status: 405 })
    this.requests.push(body)
    this.give(this.script.shift() ?? this.always, body, response)
  }

  private give(answer: Answer, body: string, response: ServerResponse): void {
    switch (answer.kind) {
      case 'honest':
        return this.honest(body, response)
      case 'held':
        this.held.push(() => this.honest(body, response))
        return
      case 'silent':
        return
      case 'reset':
        ;(response.socket as Socket).resetAndDestroy()
        return
      case 'flood':
        response.writeHead(200)
        return flood(response)
      case 'reply':
        return reply(response, answer)
      case 'lie':
        return this.lie(answer.about, body, response)
    }
  }

  private honest(body: string, response: ServerResponse): void {
    const answer = judge(body, [this.options.log], () => this.latest)
    if ('refused' in answer) return reply(response, answer.refused)
    const { size, root, note } = answer.accepted
    this.shown = formatSignedCheckpoint(answer.accepted)
    this.latest = { size, root }
    this.time += 1
    reply(response, { status: 200, body: formatSignatures([cosign(note.text, this.signer, this.time)]) })
  }

  private lie(about: Lie, body: string, response: ServerResponse): void {
    const { text } = parseWitnessRequest(body).checkpoint.note
    const { name, seed } = this.options
    const otherName = about === 'key' ? `${name}/other` : name
    const other = signerFromSeed(
      otherName,
      'cosignature',
      seed.map((byte) => byte ^ 1),
    )
    const signer = about === 'key' || about === 'name' ? other : this.signer
    const said = about === 'tree' ? text.replace(/\n\d+\n/, '\n9\n') : text
    const line = cosign(said, signer, this.time)
    if (about === 'bit') line.signature[70] = (line.signature[70] ?? 0) ^ 1
    if (about === 'name') line.id = this.key.id
    reply(response, { status: 200, body: formatSignatures([line]) })
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  // Never, if the caller goes away before: then there is nothing to answer either.
  await new Promise((resolve) => request.once('end', resolve))
  return Buffer.concat(chunks).toString('utf8')
}

function reply(response: ServerResponse, { status, body, headers }: Reply): void {
  if (!response.destroyed) response.writeHead(status, headers).end(body)
}

function flood(response: ServerResponse): void {
  const chunk = 'A'.repeat(16 * 1024)
  while (!response.destroyed && response.write(chunk));
  response.once('drain', () => flood(response))
}
