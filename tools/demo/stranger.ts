// Those who are shown a credential: they know the issuer's URL, or AWS's, and nothing else.

import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import { createRemoteJWKSet, type JWTVerifyResult, jwtVerify } from 'jose'

import type { CredsReply } from './caller.js'
import { expectThat } from './caller.js'

/** As any relying party: OpenID Connect discovery, the keys over HTTP, then signature, issuer, audience and time. */
export async function verifyJwt(jwt: string, issuer: string): Promise<JWTVerifyResult & { jwksUri: string }> {
  const response = await fetch(`${issuer}/.well-known/openid-configuration`)
  const discovery = (await response.json()) as { issuer?: unknown; jwks_uri?: unknown }
  expectThat(discovery.issuer === issuer, `discovery names the issuer ${String(discovery.issuer)}`)
  const jwksUri = String(discovery.jwks_uri)
  const keys = createRemoteJWKSet(new URL(jwksUri))
  const options = { issuer, audience: 'sts.amazonaws.com', algorithms: ['ES256'] }
  return { ...(await jwtVerify(jwt, keys, options)), jwksUri }
}

/** What GetCallerIdentity answers AWS's own SDK for these credentials. */
export async function callerIdentity(
  { access_key_id, secret_access_key, session_token, region }: CredsReply,
  endpoint: string,
): Promise<{ account: string; arn: string }> {
  const credentials = {
    accessKeyId: access_key_id,
    secretAccessKey: secret_access_key,
    sessionToken: session_token,
  }
  const sts = new STSClient({ region, endpoint, credentials })
  try {
    const { Account: account, Arn: arn } = await sts.send(new GetCallerIdentityCommand({}))
    expectThat(account !== undefined && arn !== undefined, 'GetCallerIdentity named no caller')
    return { account, arn }
  } finally {
    sts.destroy()
  }
}
