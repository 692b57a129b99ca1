import { expect, test } from '@jest/globals'

import { BROKER_API, type SentReply } from './described.js'

const HEADERS = {
  'content-type': 'application/json; charset=utf-8',
  'x-request-id': '1',
  'x-content-type-options': 'nosniff',
}

const FORBIDDEN = { error: 'forbidden', message: 'forbidden: no', reason: 'role-not-allowed' }

function mint(change: Partial<SentReply> = {}): SentReply {
  return {
    method: 'POST',
    path: '/v1/mint-oidc-jwt',
    status: 403,
    headers: new Headers(HEADERS),
    text: JSON.stringify(FORBIDDEN),
    ...change,
  }
}

test('a reply that is described is taken', () => {
  BROKER_API.check(mint())
  BROKER_API.check(mint({ path: '/', method: 'HEAD', status: 200, text: '' }))
})

const body = (value: object) => ({ text: JSON.stringify(value) })

test.each<[string, Partial<SentReply>, RegExp]>([
  ['a status', { status: 418 }, /of mintOidcJwt: .* answered 418: the status is not described/],
  [
    'a success of an unknown path',
    { path: '/v2', status: 200 },
    /no operation: .* the status is not described/,
  ],
  [
    'a method with a success',
    { path: '/healthz', status: 200 },
    /no operation: .* the status is not described/,
  ],
  ['a member', body({ ...FORBIDDEN, hint: 1 }), /the body must NOT have additional properties \(hint\)/],
  ['a missing member', body({ error: 'forbidden', message: '' }), /must have required property 'reason'/],
  [
    'a reason of another operation',
    body({ ...FORBIDDEN, reason: 'auditor-only' }),
    /\/reason must be equal to/,
  ],
  [
    'a header',
    { headers: new Headers({ ...HEADERS, 'x-powered-by': 'x' }) },
    /the header x-powered-by is not/,
  ],
  [
    'no request id',
    { headers: new Headers({ 'content-type': 'application/json' }) },
    /X-Request-Id is missing/,
  ],
  [
    'a content type',
    { headers: new Headers({ ...HEADERS, 'content-type': 'text/html' }) },
    /"text\/html" is not/,
  ],
])('%s that is not described is refused', (_what, change, complaint) => {
  expect(() => BROKER_API.check(mint(change))).toThrow(complaint)
})
