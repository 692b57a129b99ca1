// A witness over HTTP, for development, tests and the demo. It is a real one: it cosigns a tree only if the tree follows
// from the one it cosigned before, and it remembers that one on disk.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

import { formatSignedCheckpoint, type SignedCheckpoint } from '../../src/domain/ledger/checkpoint.js'
import { cosign } from '../../src/domain/ledger/cosignature.js'
import { EMPTY_ROOT } from '../../src/domain/ledger/merkle.js'
import {
  formatSignatures,
  formatVkey,
  type NoteKey,
  type NoteSignature,
  type Signer,
} from '../../src/domain/ledger/note.js'
import { judge, type Reply } from './judgement.js'
import { CosignedCheckpoints, loadOrCreateWitnessKey } from './state.js'

export interface LocalWitnessOptions {
  /** Holds its key and what it has cosigned. Made if missing. */
  dir: string
  /** The logs it cosigns. */
  logs: readonly NoteKey[]
  /** Of its key. */
  name?: string
  /** Default 0: any free port of 127.0.0.1. */
  port?: number
  /** Gets a line for every answer. */
  log?: (line: string) => void
  /** Answers that much later, as a witness far away does. */
  delayMs?: number
}

export interface LocalWitness {
  vkey: string
  /** The submission prefix: for the policy's `witness` line. */
  url: string
  /** The last checkpoint it cosigned of a log. */
  latest(origin: string): SignedCheckpoint | undefined
  close(): Promise<void>
}

export const DEFAULT_NAME = 'local-witness.invalid/w'
/** The specification's proof of 63 lines and a checkpoint with many signatures stay far below. */
const MAX_BODY_BYTES = 64 * 1024

/** Starts it. Throws PrivateFileError for a key it cannot use. */
export async function startLocalWitness(options: LocalWitnessOptions): Promise<LocalWitness> {
  const { dir, logs, name = DEFAULT_NAME, port = 0, log, delayMs = 0 } = options
  const signer = loadOrCreateWitnessKey(dir, name)
  const state = new CosignedCheckpoints(dir)
  const server = createServer((request, response) => {
    void answer(request, { signer, logs, state }).then((reply) => {
      log?.(`${request.method} ${request.url} ${reply.status}`)
      setTimeout(() => response.writeHead(reply.status, reply.headers).end(reply.body), delayMs)
    })
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    vkey: formatVkey(signer.key),
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    latest: (origin) => state.latest(origin),
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
      state.close()
    },
  }
}

interface Parts {
  signer: Signer
  logs: readonly NoteKey[]
  state: CosignedCheckpoints
}

async function answer(request: IncomingMessage, parts: Parts): Promise<Reply> {
  try {
    const { method = '', url = '' } = request
    if (method === 'POST' && url === '/add-checkpoint') return addCheckpoint(await bodyOf(request), parts)
    if (method === 'GET' && url === '/') return text(200, `${formatVkey(parts.signer.key)}\n`)
    if (method === 'GET') return readCheckpoint(url, parts)
    return text(405, 'POST /add-checkpoint, GET / or GET /<hex SHA-256 of the origin>/checkpoint\n')
  } catch (error) {
    return text(500, `${(error as Error).message}\n`)
  }
}

/** No await in here: nothing comes between the comparison, the write and the cosignature. */
function addCheckpoint(body: Uint8Array, { signer, logs, state }: Parts): Reply {
  const judgement = judge(body, logs, (origin) => state.latest(origin) ?? { size: 0, root: EMPTY_ROOT })
  if ('refused' in judgement) return judgement.refused
  const { accepted } = judgement
  const { origin, size, note } = accepted
  const cosignature = cosign(note.text, signer, Math.floor(Date.now() / 1000))
  // Only signatures that were verified are kept: the log's own, and this one.
  const signatures = [...note.signatures.filter((line) => isOf(logs, line)), cosignature]
  const oldSize = state.latest(origin)?.size ?? 0
  const kept = formatSignedCheckpoint({ ...accepted, note: { ...note, signatures } })
  if (!state.advance(origin, oldSize, size, kept))
    return text(503, 'another process works on this folder: ask again\n')
  return text(200, formatSignatures([cosignature]))
}

function isOf(logs: readonly NoteKey[], { name, id }: NoteSignature): boolean {
  return logs.some((key) => key.name === name && key.id === id)
}

function readCheckpoint(url: string, { state }: Parts): Reply {
  const origin = state.origins().find((one) => url === `/${sha256(one)}/checkpoint`)
  const latest = origin === undefined ? undefined : state.latest(origin)
  return latest
    ? text(200, formatSignedCheckpoint(latest))
    : text(404, 'nothing was cosigned of such a log\n')
}

function sha256(origin: string): string {
  return createHash('sha256').update(origin).digest('hex')
}

function text(status: number, body: string): Reply {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body }
}

async function bodyOf(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) throw new Error(`the request is larger than ${MAX_BODY_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
