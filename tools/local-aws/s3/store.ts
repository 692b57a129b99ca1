// What S3 holds, in memory. A key is its bytes: nothing is normalised, folded or cleaned of `//` and `..`.

import { createHash } from 'node:crypto'

import type { Policy } from '../../../src/domain/iam/policy.js'
import { S3Error } from './errors.js'

export interface Bucket {
  name: string
  /** Its owner's. */
  account: string
  policy: { text: string; parsed: Policy } | undefined
  readonly objects: Map<string, StoredObject>
  readonly uploads: Map<string, Upload>
}

export interface StoredObject {
  body: Buffer
  /** With its quotes. */
  etag: string
  lastModified: Date
  /** Content-Type and the like, and x-amz-meta-: what a reader gets back. */
  headers: ReadonlyMap<string, string>
}

export interface Upload {
  key: string
  headers: ReadonlyMap<string, string>
  readonly parts: Map<number, { body: Buffer; etag: string }>
}

export class Buckets {
  readonly #buckets = new Map<string, Bucket>()

  create(name: string, account: string, policy?: Bucket['policy']): Bucket {
    if (!/^(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name))
      throw new S3Error('InvalidBucketName', 'The specified bucket is not valid.')
    if (this.#buckets.has(name)) throw new S3Error('BucketAlreadyOwnedByYou', 'The bucket is there already.')
    const bucket: Bucket = { name, account, policy, objects: new Map(), uploads: new Map() }
    this.#buckets.set(name, bucket)
    return bucket
  }

  get(name: string): Bucket {
    const bucket = this.#buckets.get(name)
    if (!bucket) throw new S3Error('NoSuchBucket', 'The specified bucket does not exist')
    return bucket
  }
}

export function stored(body: Buffer, headers: ReadonlyMap<string, string>, now: Date): StoredObject {
  // The wire has whole seconds.
  const lastModified = new Date(Math.floor(now.getTime() / 1000) * 1000)
  return { body, headers, lastModified, etag: `"${md5(body).toString('hex')}"` }
}

export function md5(bytes: Uint8Array): Buffer {
  return createHash('md5').update(bytes).digest()
}
