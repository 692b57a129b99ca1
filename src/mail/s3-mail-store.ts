// Mail in an S3 bucket, through AWS's own SDK. Loaded by the mail router alone.

import { type Readable } from 'node:stream'

import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3'

import { INBOUND, messageIdOf } from '../domain/mail/mail-keys.js'
import type { MailStore } from './mail-store.js'

/** What SES writes above a message is a few kilobytes. */
const HEAD_BYTES = 16 * 1024
const CONNECT_TIMEOUT_MS = 5_000
/** S3 copies 40 MB, the largest that SES takes, in about a second. */
const REQUEST_TIMEOUT_MS = 60_000

export interface S3MailStoreOptions {
  bucket: string
  region: string
  /** Of an S3 that is not AWS's, where names of buckets are no host names. */
  endpoint: string | undefined
}

export class S3MailStore implements MailStore {
  private readonly client: S3Client
  private readonly bucket: string

  constructor({ bucket, region, endpoint }: S3MailStoreOptions) {
    this.bucket = bucket
    this.client = new S3Client({
      region,
      ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
      requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS },
    })
  }

  async *inbound(): AsyncGenerator<readonly string[]> {
    let ContinuationToken: string | undefined
    do {
      const page = await this.client.send(
        new ListObjectsV2Command({
          Bucket: this.bucket,
          Prefix: INBOUND,
          ...(ContinuationToken === undefined ? {} : { ContinuationToken }),
        }),
      )
      yield (page.Contents ?? []).flatMap(({ Key }) => messageIdOf(Key ?? '') ?? [])
      ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined
    } while (ContinuationToken !== undefined)
  }

  async head(messageId: string): Promise<string | undefined> {
    try {
      const range = { Key: INBOUND + messageId, Range: `bytes=0-${HEAD_BYTES - 1}` }
      const { Body } = await this.client.send(new GetObjectCommand({ Bucket: this.bucket, ...range }))
      return await beginning(Body as Readable)
    } catch (error) {
      if (isGone(error)) return undefined
      // An object without a byte has no range.
      if (error instanceof S3ServiceException && error.name === 'InvalidRange') return ''
      throw error
    }
  }

  async copy(messageId: string, key: string): Promise<boolean> {
    try {
      const CopySource = `${this.bucket}/${INBOUND}${messageId}`
      await this.client.send(new CopyObjectCommand({ Bucket: this.bucket, Key: key, CopySource }))
      return true
    } catch (error) {
      if (isGone(error)) return false
      throw error
    }
  }

  async remove(messageId: string): Promise<void> {
    await this.client.send(new DeleteObjectCommand({ Bucket: this.bucket, Key: INBOUND + messageId }))
  }

  close(): void {
    this.client.destroy()
  }
}

/** Also of an S3 that pays no heed to Range: leaving the loop ends the connection. */
async function beginning(body: Readable): Promise<string> {
  let head = ''
  for await (const chunk of body as AsyncIterable<Buffer>) {
    head += chunk.toString('latin1')
    if (head.length >= HEAD_BYTES) break
  }
  return head.slice(0, HEAD_BYTES)
}

function isGone(error: unknown): boolean {
  return error instanceof S3ServiceException && ['NoSuchKey', 'NotFound'].includes(error.name)
}
