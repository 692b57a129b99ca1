// How a session is got: by signing the backend's challenge with the wallet key, or by an auth token as the original did.

import { ClientError } from '../client/errors.js'

import type { Backend } from './backend.js'
import type { StoredSession } from './sessions.js'
import { addressOf, signMessage } from './wallet-key.js'

const MAINNET = 1

/** EIP-4361: what is signed names the backend's own domain, so a signature is of no use elsewhere. */
export async function logInWithWallet(backend: Backend, key: Uint8Array): Promise<StoredSession> {
  const address = addressOf(key)
  const started = await backend.ask({
    method: 'POST',
    path: 'v1/auth/wallet/start',
    body: { address, chain_id: MAINNET },
  })
  const { request_id, siwe_message: message } = started
  if (typeof message !== 'string') throw malformed('siwe_message')
  assertOwn(message, address, backend)
  const signature = signMessage(message, key)
  return sessionOf(
    await backend.ask({ method: 'POST', path: 'v1/auth/wallet/verify', body: { request_id, signature } }),
  )
}

export async function logInWithToken(backend: Backend, authToken: string): Promise<StoredSession> {
  return sessionOf(
    await backend.ask({ method: 'POST', path: 'session/create', body: { auth_token: authToken } }),
  )
}

/** A backend that is not the one we named could have us sign a message for another site. */
function assertOwn(message: string, address: string, { url }: Backend): void {
  const [first = '', second = ''] = message.split('\n')
  const domain = / wants you to sign in with your Ethereum account:$/.test(first)
    ? first.split(' ')[0]
    : undefined
  const own = domain === url.host || isLoopbackPair(domain ?? '', url.hostname)
  if (own && second.toLowerCase() === address) return
  throw new ClientError(
    'malformed_reply',
    `the session backend asks for a signature for ${JSON.stringify(domain ?? first.slice(0, 60))}, and it is ${url.host}`,
  )
}

/** On this machine localhost, 127.0.0.1 and [::1] are one backend. */
function isLoopbackPair(domain: string, hostname: string): boolean {
  const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/
  return loopback.test(domain) && loopback.test(hostname)
}

function sessionOf(reply: Record<string, unknown>): StoredSession {
  const { session: token, wallet } = reply
  if (typeof token !== 'string' || token === '') throw malformed('session')
  if (typeof wallet !== 'string' || !/^0x[0-9a-f]{40}$/.test(wallet)) throw malformed('wallet')
  return { token, wallet, createdAt: Math.floor(Date.now() / 1000) }
}

function malformed(member: string): ClientError {
  return new ClientError('malformed_reply', `unexpected reply of the session backend: ${member} is missing`)
}
