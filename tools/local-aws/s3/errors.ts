// What S3 says when it says no. Amazon S3 API Reference, "Error responses".

import { xmlDocument } from '../xml.js'

const STATUS = {
  AccessDenied: 403,
  BadDigest: 400,
  BucketAlreadyOwnedByYou: 409,
  EntityTooLarge: 400,
  EntityTooSmall: 400,
  ExpiredToken: 400,
  IncompleteBody: 400,
  InternalError: 500,
  InvalidAccessKeyId: 403,
  InvalidArgument: 400,
  InvalidBucketName: 400,
  InvalidPart: 400,
  InvalidRange: 416,
  InvalidRequest: 400,
  InvalidURI: 400,
  KeyTooLongError: 400,
  MalformedPolicy: 400,
  MalformedXML: 400,
  MethodNotAllowed: 405,
  NoSuchBucket: 404,
  NoSuchBucketPolicy: 404,
  NoSuchKey: 404,
  NoSuchUpload: 404,
  NotImplemented: 501,
  PreconditionFailed: 412,
  SignatureDoesNotMatch: 403,
  XAmzContentSHA256Mismatch: 400,
} as const satisfies Record<string, number>

export type S3ErrorCode = keyof typeof STATUS

/** A refusal as S3 words it. */
export class S3Error extends Error {
  constructor(
    readonly code: S3ErrorCode,
    message: string,
  ) {
    super(message)
    this.name = 'S3Error'
  }

  get status(): number {
    return STATUS[this.code]
  }
}

/** What this tool leaves out is refused: to ignore it would be to say that it was done. */
export function notImplemented(what: string): S3Error {
  return new S3Error('NotImplemented', `local AWS does not implement ${what}`)
}

export function s3ErrorXml(error: { code: string; message: string }, requestId: string): string {
  return xmlDocument('Error', { Code: error.code, Message: error.message, RequestId: requestId }, '')
}
