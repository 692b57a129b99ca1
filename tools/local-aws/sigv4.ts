// AWS Signature Version 4, the verifying side: the Authorization header, and the query form of presigned URLs.
// AWS General Reference, "AWS Signature Version 4 for API requests".

import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

import { StsError } from './errors.js'

export interface SignedRequest {
  method: string
  path: string
  /** Without the `?`, as it came. */
  query: string
  /** Lower-cased names; a header that came twice is joined by commas. */
  headers: ReadonlyMap<string, string>
  body: Uint8Array
  /** Default sts. */
  service?: 'sts' | 's3'
  /** What stands in the canonical request for the body; default its SHA-256. */
  payloadHash?: string
}

/** A verified signature, for the chunks of a body that each have a signature of their own. */
export interface Seed {
  key: Buffer
  signedAt: string
  /** <date>/<region>/<service>/aws4_request */
  scope: string
  signature: string
}

/** What the caller claims. Nothing in it is believed before verifySignature. */
export interface Signature {
  accessKeyId: string
  sessionToken: string | undefined
  scope: { date: string; region: string }
  signedHeaders: string[]
  /** yyyymmddThhmmssZ */
  signedAt: string
  expiresSeconds: number
  value: string
  canonicalQuery: string
}

const ALGORITHM = 'AWS4-HMAC-SHA256'
/** A request in the header form is good for 15 minutes in either direction. */
const HEADER_WINDOW_SECONDS = 900
const MAX_PRESIGNED_SECONDS = 604_800

/** Reads the signature of a request. Throws MissingAuthenticationToken when it is missing, IncompleteSignature where it is broken. */
export function readSignature(request: SignedRequest): Signature {
  const authorization = request.headers.get('authorization')
  const query = parseQuery(request.query)
  const inQuery = query.some(([name]) => name === 'X-Amz-Algorithm')
  if (authorization !== undefined && inQuery)
    throw incomplete('sign in the header or in the query, not in both')
  if (authorization !== undefined) return fromHeader(request, authorization, query)
  if (inQuery) return fromQuery(request, query)
  throw new StsError('MissingAuthenticationToken', 'Request is missing Authentication Token')
}

/** Throws SignatureDoesNotMatch unless `secret` made this signature over this request, within its time. */
export function verifySignature(
  request: SignedRequest,
  signature: Signature,
  secret: string,
  now: Date,
): Seed {
  checkSignedHeaders(request, signature)
  const { date, region } = signature.scope
  const scope = [date, region, serviceOf(request), 'aws4_request']
  const stringToSign = [
    ALGORITHM,
    signature.signedAt,
    scope.join('/'),
    sha256(canonicalRequest(request, signature)),
  ].join('\n')
  const key = signingKey(secret, scope)
  const expected = hmac(key, stringToSign)
  const given = Buffer.from(signature.value, 'hex')
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw mismatch(
      'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.',
    )
  }
  checkTime(signature, now)
  return { key, signedAt: signature.signedAt, scope: scope.join('/'), signature: signature.value }
}

function serviceOf({ service = 'sts' }: SignedRequest): 'sts' | 's3' {
  return service
}

function fromHeader(request: SignedRequest, authorization: string, query: [string, string][]): Signature {
  const [algorithm, ...rest] = authorization.split(' ')
  if (algorithm !== ALGORITHM) throw incomplete(`Authorization must use ${ALGORITHM}`)
  const fields = new Map(
    rest
      .join(' ')
      .split(',')
      .map((field): [string, string] => {
        const at = field.indexOf('=')
        return [field.slice(0, at).trim(), field.slice(at + 1).trim()]
      }),
  )
  return assemble(serviceOf(request), {
    credential: fields.get('Credential'),
    signedHeaders: fields.get('SignedHeaders'),
    value: fields.get('Signature'),
    signedAt: request.headers.get('x-amz-date'),
    sessionToken: request.headers.get('x-amz-security-token'),
    expiresSeconds: HEADER_WINDOW_SECONDS,
    canonicalQuery: canonicalQuery(query),
  })
}

function fromQuery(request: SignedRequest, query: [string, string][]): Signature {
  const value = (name: string) => query.find(([known]) => known === name)?.[1]
  if (value('X-Amz-Algorithm') !== ALGORITHM) throw incomplete(`X-Amz-Algorithm must be ${ALGORITHM}`)
  const expires = value('X-Amz-Expires') ?? ''
  if (!/^\d{1,6}$/.test(expires) || Number(expires) > MAX_PRESIGNED_SECONDS) {
    throw incomplete(`X-Amz-Expires must be 0 to ${MAX_PRESIGNED_SECONDS} seconds`)
  }
  return assemble(serviceOf(request), {
    credential: value('X-Amz-Credential'),
    signedHeaders: value('X-Amz-SignedHeaders'),
    value: value('X-Amz-Signature'),
    signedAt: value('X-Amz-Date'),
    sessionToken: value('X-Amz-Security-Token'),
    expiresSeconds: Number(expires),
    canonicalQuery: canonicalQuery(query.filter(([name]) => name !== 'X-Amz-Signature')),
  })
}

interface Parts extends Pick<Signature, 'expiresSeconds' | 'canonicalQuery' | 'sessionToken'> {
  credential: string | undefined
  signedHeaders: string | undefined
  value: string | undefined
  signedAt: string | undefined
}

function assemble(expected: 'sts' | 's3', parts: Parts): Signature {
  const { credential, signedHeaders, value, signedAt, ...rest } = parts
  const [accessKeyId, date, region, service, end, ...more] = (credential ?? '').split('/')
  if (!accessKeyId || !date || !region || end !== 'aws4_request' || more.length > 0) {
    throw incomplete('Credential must be <key>/<date>/<region>/<service>/aws4_request')
  }
  if (service !== expected) throw mismatch(`Credential should be scoped to correct service: '${expected}'.`)
  if (signedAt === undefined || !/^\d{8}T\d{6}Z$/.test(signedAt))
    throw incomplete('X-Amz-Date must be yyyymmddThhmmssZ')
  if (!signedAt.startsWith(date)) throw mismatch("Date in Credential scope does not match X-Amz-Date's")
  if (value === undefined || !/^[0-9a-f]{64}$/.test(value))
    throw incomplete('Signature must be 64 hex digits')
  const names = (signedHeaders ?? '').split(';')
  if (!names.every((name) => /^[a-z0-9-]+$/.test(name)))
    throw incomplete('SignedHeaders must be lower-case names')
  return { accessKeyId, scope: { date, region }, signedHeaders: names, signedAt, value, ...rest }
}

/** A header that is not signed can be changed on the way: Host and every X-Amz- header must be. */
function checkSignedHeaders({ headers }: SignedRequest, { signedHeaders }: Signature): void {
  for (const name of headers.keys()) {
    if ((name === 'host' || name.startsWith('x-amz-')) && !signedHeaders.includes(name)) {
      throw mismatch(`'${name}' must be a 'SignedHeader' in the AWS Authorization.`)
    }
  }
}

function checkTime({ signedAt, expiresSeconds }: Signature, now: Date): void {
  const at = Date.parse(signedAt.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'))
  const age = (now.getTime() - at) / 1000
  if (!(age <= expiresSeconds))
    throw mismatch(`Signature expired: ${signedAt} is now earlier than the window allows`)
  if (age < -HEADER_WINDOW_SECONDS)
    throw mismatch(`Signature not yet current: ${signedAt} is still later than the window allows`)
}

function canonicalRequest(request: SignedRequest, signature: Signature): string {
  const { method, path, headers, body, payloadHash = sha256(body) } = request
  const lines = signature.signedHeaders.map(
    (name) => `${name}:${(headers.get(name) ?? '').trim().replace(/ +/g, ' ')}\n`,
  )
  return [
    method,
    path,
    signature.canonicalQuery,
    lines.join(''),
    signature.signedHeaders.join(';'),
    payloadHash,
  ].join('\n')
}

function signingKey(secret: string, scope: readonly string[]): Buffer {
  return scope.reduce<Buffer>((key, part) => hmac(key, part), Buffer.from(`AWS4${secret}`))
}

export function parseQuery(query: string): [string, string][] {
  if (query === '') return []
  return query.split('&').map((pair) => {
    const at = pair.includes('=') ? pair.indexOf('=') : pair.length
    return [decode(pair.slice(0, at)), decode(pair.slice(at + 1))]
  })
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw incomplete('the query is not well encoded')
  }
}

function canonicalQuery(query: [string, string][]): string {
  return query
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&')
}

/** RFC 3986 unreserved characters stay, all else becomes %XX. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

export function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

export function sha256(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function incomplete(problem: string): StsError {
  return new StsError('IncompleteSignature', problem)
}

function mismatch(message: string): StsError {
  return new StsError('SignatureDoesNotMatch', message)
}
