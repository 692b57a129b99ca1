// S3 as the AWS SDK for JavaScript uses it, and by hand where no SDK would.

import { request as httpRequest } from 'node:http'

import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetBucketPolicyCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  paginateListObjectsV2,
  PutBucketPolicyCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

import { refusal } from '../../../test/support/sts-client.js'
import { type LocalAws, startLocalAws } from '../server.js'

const ACCOUNT = '111122223333'
const Bucket = 'mail'
const ADMIN = user('admin', 'AKIAADMINADMINADMIN', { Action: 's3:*', Resource: '*' })
const READER = user('reader', 'AKIAREADERREADER00', { Action: 's3:GetObject', Resource: '*' })

function user(name: string, accessKeyId: string, statement: object) {
  const policies = [{ Version: '2012-10-17', Statement: { Effect: 'Allow', ...statement } }]
  const arn = `arn:aws:iam::${ACCOUNT}:user/${name}`
  return { arn, accessKeyId, secretAccessKey: `secret-of-${name}-0123456789`, policies }
}

let aws: LocalAws
let admin: S3Client

beforeAll(async () => {
  aws = await startLocalAws({ account: { providers: [], roles: [], users: [ADMIN, READER] } })
  admin = client(ADMIN)
  await admin.send(new CreateBucketCommand({ Bucket }))
})
afterAll(() => aws.close())

function client({ accessKeyId, secretAccessKey }: typeof ADMIN, config: object = {}): S3Client {
  return new S3Client({
    endpoint: aws.s3.url,
    region: 'us-east-1',
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
    maxAttempts: 1,
    ...config,
  })
}

async function put(Key: string, Body: string | Uint8Array = Key): Promise<void> {
  await admin.send(new PutObjectCommand({ Bucket, Key, Body }))
}

async function get(Key: string, more: object = {}) {
  const answer = await admin.send(new GetObjectCommand({ Bucket, Key, ...more }))
  return { ...answer, text: await answer.Body?.transformToString() }
}

async function list(more: object) {
  const answer = await admin.send(new ListObjectsV2Command({ Bucket, ...more }))
  return {
    keys: answer.Contents?.map(({ Key }) => Key) ?? [],
    prefixes: answer.CommonPrefixes?.map(({ Prefix }) => Prefix) ?? [],
  }
}

describe('objects', () => {
  test.each(['a', 'a b+c%d&e', 'a//b', '/a', 'a/../b', '..', 'a%2Fb', 'é/😀', "a!'()*", 'a/'])(
    'the key %j is kept byte for byte',
    async (key) => {
      await put(`keys/${key}`, 'text')
      expect((await get(`keys/${key}`)).text).toBe('text')
      const { keys } = await list({ Prefix: `keys/${key}`, EncodingType: 'url' })
      expect(keys.map((one) => decodeURIComponent(one ?? ''))).toContain(`keys/${key}`)
      expect(aws.s3.keys(Bucket)).toContain(`keys/${key}`)
      await admin.send(new DeleteObjectCommand({ Bucket, Key: `keys/${key}` }))
      expect(aws.s3.keys(Bucket)).not.toContain(`keys/${key}`)
    },
  )

  test('what was put comes back, with its headers and checksum', async () => {
    const Metadata = { note: 'n' }
    await admin.send(
      new PutObjectCommand({ Bucket, Key: 'mail', Body: 'body', ContentType: 'text/x', Metadata }),
    )
    expect(await get('mail')).toMatchObject({
      text: 'body',
      ContentType: 'text/x',
      Metadata,
      ETag: '"841a2d689ad86bd1611447453c22c6fc"',
      // Of `body`, from zlib.
      ChecksumCRC32: '26gLsg==',
    })
    expect(await admin.send(new HeadObjectCommand({ Bucket, Key: 'mail' }))).toMatchObject({
      ContentLength: 4,
      ContentType: 'text/x',
    })
  })

  test.each([
    ['bytes=0-1', '01'],
    ['bytes=8-', '89'],
    ['bytes=-3', '789'],
    ['bytes=5-99', '56789'],
  ])('the range %s', async (Range, text) => {
    await put('digits', '0123456789')
    expect(await get('digits', { Range })).toMatchObject({ text, $metadata: { httpStatusCode: 206 } })
  })

  test('a range past the end is refused', async () => {
    await put('digits', '0123456789')
    expect(await refusal(get('digits', { Range: 'bytes=10-' }))).toMatchObject({ status: 416 })
  })

  test('a copy, and a write that must be the first', async () => {
    await put('from', 'x')
    await admin.send(new CopyObjectCommand({ Bucket, Key: 'to', CopySource: `${Bucket}/from` }))
    expect((await get('to')).text).toBe('x')
    const again = new PutObjectCommand({ Bucket, Key: 'to', Body: 'y', IfNoneMatch: '*' })
    expect(await refusal(admin.send(again))).toMatchObject({ status: 412 })
  })

  test('a multipart upload', async () => {
    const Key = 'parts'
    const { UploadId } = await admin.send(new CreateMultipartUploadCommand({ Bucket, Key }))
    const bodies = [Buffer.alloc(5 * 1024 * 1024, 'a'), Buffer.from('z')]
    const Parts: { PartNumber: number; ETag?: string }[] = []
    for (const [index, Body] of bodies.entries()) {
      const part = { PartNumber: index + 1 }
      const { ETag = '' } = await admin.send(new UploadPartCommand({ Bucket, Key, UploadId, Body, ...part }))
      Parts.push({ ...part, ETag })
    }
    const complete = { Bucket, Key, UploadId, MultipartUpload: { Parts } }
    await admin.send(new CompleteMultipartUploadCommand(complete))
    expect((await get(Key)).text?.length).toBe(5 * 1024 * 1024 + 1)
    expect(await refusal(admin.send(new CompleteMultipartUploadCommand(complete)))).toMatchObject({
      name: 'NoSuchUpload',
    })
  })
})

describe('ListObjectsV2', () => {
  beforeAll(async () => {
    for (const key of ['l/a', 'l/b/1', 'l/b/2', 'l/c', 'l/é']) await put(key)
  })

  test('prefix and delimiter', async () => {
    expect(await list({ Prefix: 'l/', Delimiter: '/' })).toEqual({
      keys: ['l/a', 'l/c', 'l/é'],
      prefixes: ['l/b/'],
    })
    expect((await list({ Prefix: 'l/b' })).keys).toEqual(['l/b/1', 'l/b/2'])
    expect((await list({ Prefix: 'l/', StartAfter: 'l/b/2' })).keys).toEqual(['l/c', 'l/é'])
  })

  test('pages hold every entry once, whatever their size', async () => {
    for (const pageSize of [1, 2, 3, 4, 5]) {
      const seen: (string | undefined)[] = []
      const pages = paginateListObjectsV2(
        { client: admin, pageSize },
        { Bucket, Prefix: 'l/', Delimiter: '/' },
      )
      for await (const page of pages) {
        seen.push(...(page.Contents ?? []).map(({ Key }) => Key))
        seen.push(...(page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix))
      }
      expect(seen.sort()).toEqual(['l/a', 'l/b/', 'l/c', 'l/é'])
    }
  })
})

describe('rights', () => {
  test('whether an object is there is said only to who may list', async () => {
    await put('there')
    const reader = client(READER)
    await reader.send(new GetObjectCommand({ Bucket, Key: 'there' }))
    const missing = (one: S3Client) => refusal(one.send(new GetObjectCommand({ Bucket, Key: 'nothing' })))
    expect(await missing(reader)).toMatchObject({ name: 'AccessDenied', status: 403 })
    expect(await missing(admin)).toMatchObject({ name: 'NoSuchKey', status: 404 })
  })

  test('a bucket policy admits a service for one source, and is served as it came', async () => {
    const policy = JSON.stringify({
      Version: '2012-10-17',
      Statement: {
        Effect: 'Allow',
        Principal: { Service: 'ses.amazonaws.com' },
        Action: 's3:PutObject',
        Resource: `arn:aws:s3:::${Bucket}/inbound/*`,
        Condition: { ArnLike: { 'aws:SourceArn': `arn:aws:ses:us-east-1:${ACCOUNT}:receipt-rule-set/a:*` } },
      },
    })
    await admin.send(new PutBucketPolicyCommand({ Bucket, Policy: policy }))
    expect((await admin.send(new GetBucketPolicyCommand({ Bucket }))).Policy).toBe(policy)
    const writer = {
      service: 'ses.amazonaws.com',
      sourceArn: `arn:aws:ses:us-east-1:${ACCOUNT}:receipt-rule-set/a:receipt-rule/b`,
      sourceAccount: ACCOUNT,
    }
    const deliver = (key: string, changes = {}) =>
      aws.s3.deliver({ ...writer, ...changes }, { bucket: Bucket, key }, Buffer.from('mail'))
    deliver('inbound/1')
    expect((await get('inbound/1')).text).toBe('mail')
    expect(() => deliver('other/1')).toThrow('not authorized')
    expect(() => deliver('inbound/2', { sourceArn: 'arn:aws:ses:us-east-1:444455556666:x' })).toThrow(
      'not authorized',
    )
    expect(() => deliver('inbound/2', { service: 'sns.amazonaws.com' })).toThrow('not authorized')
  })

  test.each([
    ['no signature', {}, 'AccessDenied'],
    ['an unknown key', { accessKeyId: 'AKIAUNKNOWNUNKNOWN' }, 'InvalidAccessKeyId'],
    ['a wrong secret', { secretAccessKey: 'wrong-wrong-wrong-wrong' }, 'SignatureDoesNotMatch'],
  ])('%s is refused', async (name, changes, code) => {
    const url = `${aws.s3.url}/${Bucket}/there`
    if (name === 'no signature') {
      const response = await fetch(url)
      expect([response.status, await response.text()]).toEqual([403, expect.stringContaining(code)])
      return
    }
    const other = client({ ...ADMIN, ...changes })
    expect((await refusal(other.send(new GetObjectCommand({ Bucket, Key: 'there' })))).name).toBe(code)
  })

  test('a presigned URL opens one object, for its time, and for nothing else', async () => {
    await put('signed/a b', 'x')
    await put('signed/c', 'y')
    const url = await getSignedUrl(admin, new GetObjectCommand({ Bucket, Key: 'signed/a b' }), {
      expiresIn: 60,
    })
    expect(await (await fetch(url)).text()).toBe('x')
    expect((await fetch(url.replace('a%20b', 'c'))).status).toBe(403)
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(403)
    const old = await getSignedUrl(admin, new GetObjectCommand({ Bucket, Key: 'signed/c' }), {
      expiresIn: 60,
      signingDate: new Date(Date.now() - 61_000),
    })
    expect((await fetch(old)).status).toBe(403)
  })
})

describe('on the wire', () => {
  test('virtual-host style, and Expect: 100-continue', async () => {
    await put('hosted', 'x')
    const signed = await getSignedUrl(
      new S3Client({
        region: 'us-east-1',
        credentials: { accessKeyId: ADMIN.accessKeyId, secretAccessKey: ADMIN.secretAccessKey },
      }),
      new GetObjectCommand({ Bucket, Key: 'hosted' }),
    )
    const { host, pathname, search } = new URL(signed)
    expect(host).toMatch(/^mail\.s3\./)
    const { port } = new URL(aws.s3.url)
    const sent = httpRequest({
      ...{ host: '127.0.0.1', port, path: `${pathname}${search}` },
      headers: { host, expect: '100-continue' },
    })
    const continued = new Promise((resolve) => sent.once('continue', () => resolve('continued')))
    const answered = new Promise((resolve) => sent.once('response', ({ statusCode }) => resolve(statusCode)))
    sent.flushHeaders()
    expect(await continued).toBe('continued')
    sent.end()
    expect(await answered).toBe(200)
  })

  test('what is not implemented is said', async () => {
    for (const path of ['/mail?acl', '/mail/a?versionId=1', '/mail?list-type=1', '/'])
      expect([path, (await fetch(`${aws.s3.url}${path}`)).status]).toEqual([path, 501])
  })

  test('faults on order, and a record of the calls', async () => {
    aws.s3.failNext({ kind: 'error', code: 'SlowDown', status: 503 }, { action: 'GetObject' })
    expect(await refusal(get('there'))).toMatchObject({ name: 'SlowDown', status: 503 })
    expect(aws.s3.calls.at(-1)).toEqual({
      action: 'GetObject',
      bucket: Bucket,
      key: 'there',
      accessKeyId: ADMIN.accessKeyId,
      outcome: 'SlowDown',
    })
  })
})
