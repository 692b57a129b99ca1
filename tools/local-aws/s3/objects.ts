// One object: put, get, head, delete, copy.

import type { Asker } from './access.js'
import { notImplemented, S3Error } from './errors.js'
import { checksumHeader } from './payload.js'
import { decodeKey, type S3Request, splitAt } from './request.js'
import { type Bucket, stored, type StoredObject } from './store.js'
import { keyOf, type S3Answer, type S3Call, type S3World } from './world.js'

const KEPT_HEADERS = /^(?:content-(?:type|encoding|disposition|language)|cache-control|x-amz-meta-.+)$/

/** The headers that stay with an object. aws-chunked is how it was sent, not what it is. */
export function keptHeaders({ headers }: S3Request): Map<string, string> {
  for (const name of headers.keys()) {
    if (/^x-amz-(?:acl|grant-|tagging$|object-lock-|server-side-encryption-customer-)/.test(name))
      throw notImplemented(name)
  }
  const kept = new Map([...headers].filter(([name]) => KEPT_HEADERS.test(name)))
  const encoding = (kept.get('content-encoding') ?? '')
    .replace(/(?:^|,)\s*aws-chunked\s*/, '')
    .replace(/^,/, '')
  if (encoding === '') kept.delete('content-encoding')
  else kept.set('content-encoding', encoding)
  return kept
}

export function putObject(world: S3World, call: S3Call): S3Answer {
  const { request, payload, asker } = call
  const bucket = world.buckets.get(request.bucket)
  world.access.require(asker, bucket, { action: 's3:PutObject', key: keyOf(call) })
  refuseOverwrite(bucket, request)
  const object = stored(payload, keptHeaders(request), world.now())
  bucket.objects.set(keyOf(call), object)
  return { headers: { etag: object.etag } }
}

/** If-None-Match: * is "only if it is not there". */
export function refuseOverwrite(bucket: Bucket, { headers, key = '' }: S3Request): void {
  if (headers.has('if-match')) throw notImplemented('If-Match on a write')
  const condition = headers.get('if-none-match')
  if (condition === undefined) return
  if (condition !== '*') throw notImplemented('If-None-Match with a value on a write')
  if (bucket.objects.has(key))
    throw new S3Error('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold')
}

export function getObject(world: S3World, call: S3Call): S3Answer {
  const { headers } = call.request
  const object = readable(world, call.asker, { bucket: call.request.bucket, key: keyOf(call) })
  for (const name of ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'])
    if (headers.has(name)) throw notImplemented(`${name} on a read`)
  const described = {
    ...Object.fromEntries(object.headers),
    etag: object.etag,
    'last-modified': object.lastModified.toUTCString(),
    'accept-ranges': 'bytes',
  }
  const range = headers.get('range')
  if (range !== undefined) return { status: 206, ...part(object.body, range, described) }
  const checksum = headers.get('x-amz-checksum-mode') === 'ENABLED' ? checksumHeader(object) : {}
  return { headers: { ...described, ...checksum }, body: object.body }
}

/** One range, as RFC 9110 section 14.1.2 writes it. */
function part(body: Buffer, range: string, headers: Record<string, string>): S3Answer {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(range) ?? []
  if (first === '' && last === '') throw notImplemented(`the range ${range}`)
  const start = first === '' ? Math.max(0, body.length - Number(last)) : Number(first)
  const end = first === '' || last === '' ? body.length - 1 : Math.min(Number(last), body.length - 1)
  if (start > end) throw new S3Error('InvalidRange', 'The requested range is not satisfiable')
  return {
    headers: { ...headers, 'content-range': `bytes ${start}-${end}/${body.length}` },
    body: body.subarray(start, end + 1),
  }
}

/** That an object is not there is said only to who may list: to everyone else it is as if it were forbidden. */
function readable(world: S3World, asker: Asker, name: { bucket: string; key: string }): StoredObject {
  const bucket = world.buckets.get(name.bucket)
  world.access.require(asker, bucket, { action: 's3:GetObject', key: name.key })
  const object = bucket.objects.get(name.key)
  if (object) return object
  world.access.require(asker, bucket, { action: 's3:ListBucket' })
  throw new S3Error('NoSuchKey', 'The specified key does not exist.')
}

export function deleteObject(world: S3World, call: S3Call): S3Answer {
  const bucket = world.buckets.get(call.request.bucket)
  world.access.require(call.asker, bucket, { action: 's3:DeleteObject', key: keyOf(call) })
  bucket.objects.delete(keyOf(call))
  return { status: 204 }
}

/** The object that x-amz-copy-source names, if the caller may read it. */
export function copySource(world: S3World, { request, asker }: S3Call): StoredObject {
  const source = request.headers.get('x-amz-copy-source') ?? ''
  if (/\?versionId=/i.test(source)) throw notImplemented('versions')
  const [bucket, key] = splitAt(decodeKey(source.replace(/^\//, '')), '/')
  for (const name of request.headers.keys())
    if (name.startsWith('x-amz-copy-source-')) throw notImplemented(name)
  return readable(world, asker, { bucket, key })
}

export function copyObject(world: S3World, call: S3Call): S3Answer {
  const { request, asker } = call
  const bucket = world.buckets.get(request.bucket)
  world.access.require(asker, bucket, { action: 's3:PutObject', key: keyOf(call) })
  const source = copySource(world, call)
  refuseOverwrite(bucket, request)
  const replaces = request.headers.get('x-amz-metadata-directive') === 'REPLACE'
  const own = keptHeaders(request)
  const copy = stored(source.body, replaces ? own : source.headers, world.now())
  bucket.objects.set(keyOf(call), copy)
  const content = { LastModified: copy.lastModified.toISOString(), ETag: copy.etag }
  return { body: { root: 'CopyObjectResult', content } }
}
