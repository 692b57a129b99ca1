// Multipart uploads: create, upload a part or copy one, complete, abort.

import { randomBytes } from 'node:crypto'

import { S3Error } from './errors.js'
import { copySource, keptHeaders, refuseOverwrite } from './objects.js'
import { md5, stored, type Bucket, type Upload } from './store.js'
import { keyOf, type S3Answer, type S3Call, type S3World } from './world.js'

const MIN_PART_BYTES = 5 * 1024 * 1024

export function createMultipartUpload(world: S3World, call: S3Call): S3Answer {
  const bucket = writable(world, call)
  const id = randomBytes(24).toString('base64url')
  bucket.uploads.set(id, { key: keyOf(call), headers: keptHeaders(call.request), parts: new Map() })
  const content = { Bucket: bucket.name, Key: keyOf(call), UploadId: id }
  return { body: { root: 'InitiateMultipartUploadResult', content } }
}

export function uploadPart(world: S3World, call: S3Call): S3Answer {
  const bucket = writable(world, call)
  return { headers: { etag: keepPart(uploadOf(bucket, call), call, call.payload) } }
}

export function uploadPartCopy(world: S3World, call: S3Call): S3Answer {
  const bucket = writable(world, call)
  const etag = keepPart(uploadOf(bucket, call), call, copySource(world, call).body)
  const content = { LastModified: world.now().toISOString(), ETag: etag }
  return { body: { root: 'CopyPartResult', content } }
}

function keepPart(upload: Upload, { request }: S3Call, body: Buffer): string {
  const number = Number(request.parameters.get('partNumber'))
  if (!(Number.isInteger(number) && number >= 1 && number <= 10_000))
    throw new S3Error('InvalidArgument', 'Part number must be an integer between 1 and 10000, inclusive')
  const etag = `"${md5(body).toString('hex')}"`
  upload.parts.set(number, { body, etag })
  return etag
}

export function completeMultipartUpload(world: S3World, call: S3Call): S3Answer {
  const bucket = writable(world, call)
  const upload = uploadOf(bucket, call)
  const parts = listedParts(call.payload.toString(), upload)
  refuseOverwrite(bucket, call.request)
  const object = stored(Buffer.concat(parts.map(({ body }) => body)), upload.headers, world.now())
  const hashes = Buffer.concat(parts.map(({ body }) => md5(body)))
  const etag = `"${md5(hashes).toString('hex')}-${parts.length}"`
  bucket.objects.set(keyOf(call), { ...object, etag })
  bucket.uploads.delete(call.request.parameters.get('uploadId') ?? '')
  const content = { Location: call.request.path, Bucket: bucket.name, Key: keyOf(call), ETag: etag }
  return { body: { root: 'CompleteMultipartUploadResult', content } }
}

function listedParts(xml: string, { parts }: Upload): { body: Buffer; etag: string }[] {
  const listed = Array.from(xml.matchAll(/<Part>(.*?)<\/Part>/gs), ([, inner = '']) => ({
    number: Number(/<PartNumber>\s*(\d+)\s*<\/PartNumber>/.exec(inner)?.[1]),
    etag: /<ETag>\s*(?:"|&quot;|&#34;)?([0-9a-f]{32})(?:"|&quot;|&#34;)?\s*<\/ETag>/.exec(inner)?.[1],
  }))
  if (listed.length === 0) throw new S3Error('MalformedXML', 'The list of parts is empty or is no list')
  return listed.map(({ number, etag }, index) => {
    const part = parts.get(number)
    const isInOrder = index === 0 || number > (listed[index - 1]?.number ?? 0)
    if (!part || !isInOrder || part.etag !== `"${etag}"`)
      throw new S3Error('InvalidPart', `Part ${number} was not uploaded, or is another, or is out of order`)
    if (index < listed.length - 1 && part.body.length < MIN_PART_BYTES)
      throw new S3Error('EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed size')
    return part
  })
}

export function abortMultipartUpload(world: S3World, call: S3Call): S3Answer {
  const bucket = world.buckets.get(call.request.bucket)
  world.access.require(call.asker, bucket, { action: 's3:AbortMultipartUpload', key: keyOf(call) })
  uploadOf(bucket, call)
  bucket.uploads.delete(call.request.parameters.get('uploadId') ?? '')
  return { status: 204 }
}

function writable(world: S3World, call: S3Call): Bucket {
  const bucket = world.buckets.get(call.request.bucket)
  world.access.require(call.asker, bucket, { action: 's3:PutObject', key: keyOf(call) })
  return bucket
}

/** An upload is of one key: the id alone opens nothing at another. */
function uploadOf(bucket: Bucket, call: S3Call): Upload {
  const upload = bucket.uploads.get(call.request.parameters.get('uploadId') ?? '')
  if (upload?.key === keyOf(call)) return upload
  throw new S3Error('NoSuchUpload', 'The specified multipart upload does not exist.')
}
