// ListObjectsV2.

import type { Content } from '../xml.js'
import { S3Error } from './errors.js'
import type { StoredObject } from './store.js'
import type { S3Answer, S3Call, S3World } from './world.js'

interface Listing {
  prefix: string
  delimiter: string
  maxKeys: number
  startAfter: string
  /** The last entry of the page before: a key or a common prefix. */
  continued: string | undefined
}

type Entry = { name: string; object: StoredObject | undefined }

export function listObjectsV2(world: S3World, call: S3Call): S3Answer {
  const { bucket: name, parameters } = call.request
  const bucket = world.buckets.get(name)
  const { asker } = call
  const [prefix, delimiter] = [parameters.get('prefix'), parameters.get('delimiter')]
  // An empty prefix is a prefix, and a condition sees it; none is none.
  const keys = {
    's3:prefix': prefix,
    's3:delimiter': delimiter,
    's3:max-keys': parameters.get('max-keys'),
  }
  world.access.require(asker, bucket, { action: 's3:ListBucket', keys })
  const listing: Listing = {
    prefix: prefix ?? '',
    delimiter: delimiter ?? '',
    maxKeys: readMaxKeys(parameters.get('max-keys')),
    startAfter: parameters.get('start-after') ?? '',
    continued: readToken(parameters.get('continuation-token')),
  }
  const entries = entriesOf(bucket.objects, listing)
  const page = entries.slice(0, listing.maxKeys)
  const more = entries.length > page.length ? page.at(-1)?.name : undefined
  return { body: { root: 'ListBucketResult', content: pageContent(call, page, more) } }
}

function readMaxKeys(text = '1000'): number {
  if (!/^\d{1,9}$/.test(text)) throw new S3Error('InvalidArgument', 'max-keys must be a whole number')
  return Math.min(Number(text), 1000)
}

function readToken(token: string | undefined): string | undefined {
  if (token === undefined) return undefined
  if (!/^[\w-]+$/.test(token))
    throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect')
  return Buffer.from(token, 'base64url').toString()
}

/** What the listing shows, in the order of UTF-8 bytes: keys, and once each what they have in common up to the delimiter. */
function entriesOf(objects: ReadonlyMap<string, StoredObject>, listing: Listing): Entry[] {
  const { prefix, delimiter, startAfter, continued } = listing
  const entries = new Map<string, Entry>()
  for (const [key, object] of objects) {
    if (!key.startsWith(prefix) || (startAfter !== '' && !isAfter(key, startAfter))) continue
    const end = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length)
    const entry =
      end < 0 ? { name: key, object } : { name: key.slice(0, end + delimiter.length), object: undefined }
    if (continued === undefined || isAfter(entry.name, continued)) entries.set(entry.name, entry)
  }
  return [...entries.values()].sort((a, b) => (isAfter(a.name, b.name) ? 1 : -1))
}

function isAfter(a: string, b: string): boolean {
  return Buffer.compare(Buffer.from(a), Buffer.from(b)) > 0
}

function pageContent({ request }: S3Call, page: readonly Entry[], more: string | undefined): Content {
  const { bucket, parameters } = request
  const encoding = parameters.get('encoding-type')
  if (encoding !== undefined && encoding !== 'url')
    throw new S3Error('InvalidArgument', 'Invalid Encoding Method specified in Request')
  const shown = (text: string) =>
    encoding === undefined ? text : encodeURIComponent(text).replaceAll('%2F', '/')
  const optional = (name: string) => {
    const value = parameters.get(name)
    return value === undefined ? undefined : shown(value)
  }
  return {
    Name: bucket,
    Prefix: optional('prefix') ?? '',
    Delimiter: optional('delimiter'),
    StartAfter: optional('start-after'),
    MaxKeys: readMaxKeys(parameters.get('max-keys')),
    EncodingType: encoding,
    KeyCount: page.length,
    IsTruncated: String(more !== undefined),
    ContinuationToken: parameters.get('continuation-token'),
    NextContinuationToken: more === undefined ? undefined : Buffer.from(more).toString('base64url'),
    Contents: page.flatMap(({ name, object }) =>
      object
        ? {
            Key: shown(name),
            LastModified: object.lastModified.toISOString(),
            ETag: object.etag,
            Size: object.body.length,
            StorageClass: 'STANDARD',
          }
        : [],
    ),
    CommonPrefixes: page.flatMap(({ name, object }) => (object ? [] : { Prefix: shown(name) })),
  }
}
