// A request as S3 reads it: which bucket and key, and what is asked for.

import type { IncomingMessage } from 'node:http'

import { parseQuery, type SignedRequest } from '../sigv4.js'
import { notImplemented, S3Error } from './errors.js'

export interface S3Request extends SignedRequest {
  service: 's3'
  bucket: string
  /** Undefined for what is about the bucket. */
  key: string | undefined
  /** Without what signs a presigned URL. */
  parameters: ReadonlyMap<string, string>
  body: Buffer
}

/** More than the largest mail, and than a part of any client's multipart upload. */
const MAX_BODY_BYTES = 64 * 1024 * 1024
const MAX_KEY_BYTES = 1024

/** Hosts under which a bucket's name comes first. */
const VIRTUAL_HOST = /^(.+?)\.(?:localhost|s3(?:[.-][a-z0-9-]+)?\.amazonaws\.com)(?::\d+)?$/i

export async function readS3Request(message: IncomingMessage): Promise<S3Request> {
  const [path = '', query = ''] = splitAt(message.url ?? '', '?')
  const headers = headersOf(message)
  const [, virtual] = VIRTUAL_HOST.exec(headers.get('host') ?? '') ?? []
  // The first slash, and in path style the one after the bucket, are syntax; every other one is part of the key.
  const [bucket = '', key = ''] =
    virtual === undefined ? splitAt(path.slice(1), '/') : [virtual, path.slice(1)]
  if (bucket === '') throw notImplemented('ListBuckets')
  const payloadHash = headers.get('x-amz-content-sha256') ?? 'UNSIGNED-PAYLOAD'
  return {
    service: 's3',
    method: message.method ?? '',
    path,
    query,
    headers,
    payloadHash,
    bucket: decodeKey(bucket),
    key: key === '' ? undefined : decodeKey(key),
    parameters: parametersOf(query),
    body: await readBody(message),
  }
}

/** Throws for what is no UTF-8, or longer than a key may be. */
export function decodeKey(text: string): string {
  let key: string
  try {
    key = decodeURIComponent(text)
  } catch {
    throw new S3Error('InvalidURI', "Couldn't parse the specified URI.")
  }
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) throw new S3Error('KeyTooLongError', 'Your key is too long')
  return key
}

export function splitAt(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

function parametersOf(query: string): Map<string, string> {
  const parameters = new Map<string, string>()
  for (const [name, value] of parseQuery(query)) {
    if (/^x-amz-/i.test(name) || name === 'x-id') continue
    if (parameters.has(name)) throw new S3Error('InvalidArgument', `${name} was given more than once`)
    parameters.set(name, value)
  }
  return parameters
}

async function readBody(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of message as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size <= MAX_BODY_BYTES) chunks.push(chunk)
  }
  if (size > MAX_BODY_BYTES) throw new S3Error('EntityTooLarge', `At most ${MAX_BODY_BYTES} bytes`)
  return Buffer.concat(chunks)
}

export function headersOf({ rawHeaders }: IncomingMessage): Map<string, string> {
  const headers = new Map<string, string>()
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase()
    const value = rawHeaders[index + 1] ?? ''
    const before = headers.get(name)
    headers.set(name, before === undefined ? value : `${before},${value}`)
  }
  return headers
}
