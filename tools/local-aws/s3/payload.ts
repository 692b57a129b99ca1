// The body as the client meant it: out of its aws-chunked form, and what it was when it was sent.
// Amazon S3 API Reference, "Signature calculations for the Authorization header: transferring payload in multiple chunks"
// and "Checking object integrity".

import { createHash, timingSafeEqual } from 'node:crypto'
import { crc32 } from 'node:zlib'

import { hmac, type Seed, sha256 } from '../sigv4.js'
import { notImplemented, S3Error } from './errors.js'
import { md5, type StoredObject } from './store.js'
import type { S3Request } from './request.js'

/** The payload of a request whose signature holds. `seed` is missing where nothing was signed. */
export function payloadOf(request: S3Request, seed: Seed | undefined): Buffer {
  const { payloadHash = '', headers, body } = request
  if (payloadHash.startsWith('STREAMING-')) {
    const { payload, trailers } = unchunked(body, payloadHash, seed)
    if (String(payload.length) !== headers.get('x-amz-decoded-content-length'))
      throw new S3Error('IncompleteBody', 'The body is not as long as x-amz-decoded-content-length says')
    const [promised, sent] = [headers.get('x-amz-trailer'), [...trailers.keys()].join(',')]
    if (promised !== undefined && promised !== sent)
      throw new S3Error('MalformedXML', `the trailer ${promised} was announced, and ${sent || 'none'} sent`)
    checkIntegrity(payload, new Map([...headers, ...trailers]))
    return payload
  }
  if (payloadHash !== 'UNSIGNED-PAYLOAD' && payloadHash !== sha256(body))
    throw new S3Error('XAmzContentSHA256Mismatch', "The body's SHA-256 is not x-amz-content-sha256")
  checkIntegrity(body, headers)
  return body
}

const FORMS: Record<string, { signed: boolean }> = {
  'STREAMING-UNSIGNED-PAYLOAD-TRAILER': { signed: false },
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD': { signed: true },
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER': { signed: true },
}

interface Unchunked {
  payload: Buffer
  trailers: Map<string, string>
}

/** `<hex size>[;chunk-signature=<hex>]CRLF <bytes> CRLF`, down to a size of 0; then the trailers, then an empty line. */
function unchunked(body: Buffer, form: string, seed: Seed | undefined): Unchunked {
  const signed = FORMS[form]?.signed
  if (signed === undefined) throw notImplemented(form)
  const lines = new Lines(body)
  const signatures = signed ? new ChunkSignatures(seed) : undefined
  const chunks: Buffer[] = []
  for (;;) {
    const [, hex, signature] =
      /^([0-9a-f]{1,8})(?:;chunk-signature=([0-9a-f]{64}))?$/i.exec(lines.next()) ?? []
    if (hex === undefined) throw incomplete('a chunk does not begin with its size')
    const chunk = lines.take(parseInt(hex, 16))
    signatures?.check(chunk, signature)
    if (chunk.length === 0) break
    chunks.push(chunk)
    if (lines.next() !== '') throw incomplete('a chunk is longer than its size')
  }
  const trailers = trailersOf(lines)
  if (form.endsWith('-TRAILER')) signatures?.checkTrailer(trailers)
  trailers.delete('x-amz-trailer-signature')
  return { payload: Buffer.concat(chunks), trailers }
}

function trailersOf(lines: Lines): Map<string, string> {
  const trailers = new Map<string, string>()
  for (let line = lines.next(); line !== ''; line = lines.next()) {
    const at = line.indexOf(':')
    trailers.set(line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim())
  }
  return trailers
}

class Lines {
  #at = 0

  constructor(readonly body: Buffer) {}

  next(): string {
    const end = this.body.indexOf('\r\n', this.#at)
    if (end < 0) throw incomplete('the body ends within a line')
    const line = this.body.toString('latin1', this.#at, end)
    this.#at = end + 2
    return line
  }

  take(bytes: number): Buffer {
    const taken = this.body.subarray(this.#at, this.#at + bytes)
    if (taken.length < bytes) throw incomplete('the body ends within a chunk')
    this.#at += bytes
    return taken
  }
}

/** Each chunk's signature covers the one before it, and the first the request's. */
class ChunkSignatures {
  #previous: string

  constructor(readonly seed: Seed | undefined) {
    this.#previous = seed?.signature ?? ''
  }

  check(chunk: Buffer, given: string | undefined): void {
    this.#next(['AWS4-HMAC-SHA256-PAYLOAD'], [sha256(''), sha256(chunk)], given)
  }

  checkTrailer(trailers: ReadonlyMap<string, string>): void {
    const lines = [...trailers].filter(([name]) => name !== 'x-amz-trailer-signature')
    const text = lines.map(([name, value]) => `${name}:${value}\n`).join('')
    this.#next(['AWS4-HMAC-SHA256-TRAILER'], [sha256(text)], trailers.get('x-amz-trailer-signature'))
  }

  #next(algorithm: string[], hashes: string[], given = ''): void {
    const { seed } = this
    if (!seed) throw new S3Error('InvalidRequest', 'signed chunks need a signed request')
    const text = [...algorithm, seed.signedAt, seed.scope, this.#previous, ...hashes].join('\n')
    const expected = hmac(seed.key, text)
    const actual = Buffer.from(given, 'hex')
    if (actual.length !== expected.length || !timingSafeEqual(actual, expected))
      throw new S3Error('SignatureDoesNotMatch', 'The signature of a chunk or trailer does not match')
    this.#previous = given
  }
}

const DIGESTS: Record<string, (bytes: Buffer) => Buffer> = {
  'content-md5': md5,
  'x-amz-checksum-crc32': crc32Of,
  'x-amz-checksum-sha1': (bytes) => createHash('sha1').update(bytes).digest(),
  'x-amz-checksum-sha256': (bytes) => createHash('sha256').update(bytes).digest(),
}

function checkIntegrity(payload: Buffer, headers: ReadonlyMap<string, string>): void {
  for (const [name, given] of headers) {
    if (
      name === 'x-amz-checksum-type' ||
      name === 'x-amz-checksum-algorithm' ||
      name === 'x-amz-checksum-mode'
    )
      continue
    const digest = DIGESTS[name]
    if (!digest && name.startsWith('x-amz-checksum-')) throw notImplemented(name)
    if (digest && digest(payload).toString('base64') !== given)
      throw new S3Error('BadDigest', `The ${name} you specified did not match what was received`)
  }
}

function crc32Of(bytes: Buffer): Buffer {
  const digest = Buffer.alloc(4)
  digest.writeUInt32BE(crc32(bytes))
  return digest
}

/** What a reader who asks for checksums checks the body against. */
export function checksumHeader({ body }: StoredObject): Record<string, string> {
  return { 'x-amz-checksum-crc32': crc32Of(body).toString('base64'), 'x-amz-checksum-type': 'FULL_OBJECT' }
}

function incomplete(problem: string): S3Error {
  return new S3Error('IncompleteBody', `aws-chunked: ${problem}`)
}
