// Which operation a request is: by method, by whether a key is named, by the query's marks.

import { createBucket, deleteBucketPolicy, getBucketPolicy, headBucket, putBucketPolicy } from './buckets.js'
import { notImplemented } from './errors.js'
import { listObjectsV2 } from './listing.js'
import {
  abortMultipartUpload,
  completeMultipartUpload,
  createMultipartUpload,
  uploadPart,
  uploadPartCopy,
} from './multipart.js'
import { copyObject, deleteObject, getObject, putObject } from './objects.js'
import type { S3Request } from './request.js'
import type { S3Operation } from './world.js'

interface Route {
  name: string
  operation: S3Operation
  on: string
  /** Query parameters that must be there. */
  marks?: readonly string[]
  /** Others that may be. */
  takes?: readonly string[]
  copies?: true
}

const UPLOAD = ['partNumber', 'uploadId']

const ROUTES: readonly Route[] = [
  { name: 'PutBucketPolicy', operation: putBucketPolicy, on: 'PUT bucket', marks: ['policy'] },
  { name: 'GetBucketPolicy', operation: getBucketPolicy, on: 'GET bucket', marks: ['policy'] },
  { name: 'DeleteBucketPolicy', operation: deleteBucketPolicy, on: 'DELETE bucket', marks: ['policy'] },
  { name: 'CreateBucket', operation: createBucket, on: 'PUT bucket' },
  { name: 'HeadBucket', operation: headBucket, on: 'HEAD bucket' },
  {
    name: 'ListObjectsV2',
    operation: listObjectsV2,
    on: 'GET bucket',
    marks: ['list-type'],
    takes: [
      ...['prefix', 'delimiter', 'max-keys', 'start-after', 'continuation-token', 'encoding-type'],
      'fetch-owner',
    ],
  },
  { name: 'UploadPartCopy', operation: uploadPartCopy, on: 'PUT object', marks: UPLOAD, copies: true },
  { name: 'UploadPart', operation: uploadPart, on: 'PUT object', marks: UPLOAD },
  { name: 'CopyObject', operation: copyObject, on: 'PUT object', copies: true },
  { name: 'PutObject', operation: putObject, on: 'PUT object' },
  { name: 'GetObject', operation: getObject, on: 'GET object' },
  { name: 'HeadObject', operation: getObject, on: 'HEAD object' },
  { name: 'AbortMultipartUpload', operation: abortMultipartUpload, on: 'DELETE object', marks: ['uploadId'] },
  { name: 'DeleteObject', operation: deleteObject, on: 'DELETE object' },
  { name: 'CreateMultipartUpload', operation: createMultipartUpload, on: 'POST object', marks: ['uploads'] },
  {
    name: 'CompleteMultipartUpload',
    operation: completeMultipartUpload,
    on: 'POST object',
    marks: ['uploadId'],
  },
]

export function routeOf({ method, key, parameters, headers }: S3Request): Route {
  const on = `${method} ${key === undefined ? 'bucket' : 'object'}`
  const route = ROUTES.find(
    (one) =>
      one.on === on &&
      (one.marks ?? []).every((mark) => parameters.has(mark)) &&
      (!one.copies || headers.has('x-amz-copy-source')),
  )
  const known = [...(route?.marks ?? []), ...(route?.takes ?? [])]
  const stranger = [...parameters.keys()].find((name) => !known.includes(name))
  if (!route || stranger !== undefined || (parameters.get('list-type') ?? '2') !== '2')
    throw notImplemented(`${on} with ${stranger ?? 'these parameters'}`)
  return route
}
