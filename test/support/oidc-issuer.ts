// An OIDC issuer on a real socket that signs whatever a test asks for, right or wrong.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import { CompactSign, exportJWK, generateKeyPair, type CryptoKey, type JWK } from 'jose'

export const WALLET = `0x${'ab'.repeat(20)}`
export const ROLE = 'arn:aws:iam::111122223333:role/agentkeys-data-role'

export interface Answer {
  status: number
  body: string
  headers?: Record<string, string>
}

export interface TestIssuer {
  url: string
  /** What the JWKS serves; change it at will. */
  keys: Record<string, unknown>[]
  signingKey: CryptoKey
  /** Paths asked for so far. */
  asked: string[]
  /** Takes over a path: an answer of its own, or 'silence'. */
  answers: Map<string, Answer | 'silence'>
  /** A token as the broker signs it, with claims and header members replaced; undefined leaves one out. */
  token(claims?: Record<string, unknown>, header?: Record<string, unknown>, key?: CryptoKey): Promise<string>
  close(): Promise<void>
}

export async function startIssuer(): Promise<TestIssuer> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const answers = new Map<string, Answer | 'silence'>()
  const asked: string[] = []
  const keys = [await publicJwk(publicKey, 'v1-1')]
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    const answer = answers.get(path) ?? { status: 200, body: JSON.stringify(documents()[path]) }
    if (answer !== 'silence') response.writeHead(answer.status, answer.headers).end(answer.body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const documents = (): Record<string, unknown> => ({
    '/.well-known/openid-configuration': { issuer: url, jwks_uri: `${url}/.well-known/jwks.json` },
    '/.well-known/jwks.json': { keys },
  })
  return {
    url,
    keys,
    signingKey: privateKey,
    asked,
    answers,
    token: (claims = {}, header = {}, key = privateKey) =>
      sign({ ...brokerClaims(url), ...claims }, { alg: 'ES256', kid: 'v1-1', ...header }, key),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

export async function publicJwk(key: CryptoKey, kid: string): Promise<Record<string, unknown>> {
  return { ...(await exportJWK(key)), kid, use: 'sig' } satisfies JWK
}

/** What the broker puts into a JWT. */
function brokerClaims(iss: string): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000)
  return {
    iss,
    sub: `agentkeys:agent:${WALLET}`,
    aud: 'sts.amazonaws.com',
    iat: now,
    exp: now + 300,
    jti: '0192f0c0-0000-7000-8000-000000000000',
    'https://aws.amazon.com/tags': {
      principal_tags: { agentkeys_user_wallet: [WALLET] },
      transitive_tag_keys: ['agentkeys_user_wallet'],
    },
    'https://aws.amazon.com/roles': [ROLE],
    'https://aws.amazon.com/source_identity': WALLET,
  }
}

/** CompactSign and not SignJWT: it takes claims no JWT should have. */
function sign(
  claims: Record<string, unknown>,
  header: Record<string, unknown>,
  key: CryptoKey,
): Promise<string> {
  const protectedHeader = Object.fromEntries(
    Object.entries(header).filter(([, value]) => value !== undefined),
  )
  return new CompactSign(Buffer.from(JSON.stringify(claims)))
    .setProtectedHeader(protectedHeader as { alg: string })
    .sign(key)
}
