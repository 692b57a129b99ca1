// The session backend where others can reach it: a wallet's signature is the only way in.

import { mkdtempSync, rmSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Logger } from '@nestjs/common'
import { privateKeyToAccount } from 'viem/accounts'

import { openLog } from '../logging.js'
import { EmbeddedSessions } from '../session/embedded-sessions.js'
import { type SessionListener, startSessionListener } from './session-listener.js'

const LOG = openLog('silent')
const MAIL_DOMAIN = 'agentkeys-email.io'
const account = privateKeyToAccount(`0x${'07'.repeat(32)}`)

let folder: string
let sessions: EmbeddedSessions
let local: SessionListener
let exposed: SessionListener
beforeAll(async () => {
  Logger.overrideLogger(false)
  folder = mkdtempSync(join(tmpdir(), 'sessions-'))
  sessions = new EmbeddedSessions(join(folder, 'sessions.sqlite'), () => new Date())
  const address = { host: '127.0.0.1', port: 0 }
  const url = 'https://sessions.example.com'
  local = await startSessionListener(
    sessions,
    address,
    {
      mailDomain: MAIL_DOMAIN,
      mailRouterToken: undefined,
      sessionUrl: undefined,
      exposed: false,
    },
    LOG,
  )
  exposed = await startSessionListener(
    sessions,
    address,
    {
      mailDomain: MAIL_DOMAIN,
      mailRouterToken: undefined,
      sessionUrl: url,
      exposed: true,
    },
    LOG,
  )
})
afterAll(async () => {
  await local.close()
  await exposed.close()
  await sessions.close()
  rmSync(folder, { recursive: true })
})

interface Answer {
  status: number | undefined
  body: Record<string, string>
}

async function post(
  { url }: SessionListener,
  path: string,
  body: object,
  headers: Record<string, string> = {},
): Promise<Answer> {
  // The path as it is: fetch would tidy it.
  const { hostname, port } = new URL(url)
  const sent = request({ hostname, port, path, method: 'POST', agent: false })
  for (const [name, value] of Object.entries({ 'content-type': 'application/json', ...headers }))
    sent.setHeader(name, value)
  sent.end(JSON.stringify(body))
  const answered = await new Promise<IncomingMessage>((resolve) => sent.once('response', resolve))
  return { status: answered.statusCode, body: JSON.parse(await text(answered)) as Record<string, string> }
}

const mail = { address: 'bot@agentkeys-email.io', from: 'a@example.com' }
const forMachine = {
  status: 403,
  body: expect.objectContaining({ code: 'DENIED', message: expect.stringMatching(/wallet/) }),
}

describe('sign-up by auth token, and mail that anyone may deliver', () => {
  test.each([['/session/create'], ['/session/create?x=1'], ['/session/%63reate']])(
    'are refused where the backend is exposed: %s',
    async (path) => {
      expect(await post(exposed, path, { auth_token: 'alice' })).toEqual(forMachine)
    },
  )

  test('are refused there from this machine too, and so is mail', async () => {
    expect(await post(exposed, '/mock/inbox/deliver', mail)).toEqual(forMachine)
    expect((await post(local, '/session/create', { auth_token: 'alice' })).status).toBe(200)
  })

  test.each([
    [{ 'x-forwarded-for': '203.0.113.7' }],
    [{ 'x-forwarded-host': 'sessions.example.com' }],
    [{ 'X-Forwarded-Proto': 'https' }],
    [{ forwarded: 'for=203.0.113.7' }],
    [{ via: '1.1 proxy' }],
    [{ 'x-real-ip': '203.0.113.7' }],
  ])('are refused on loopback when a proxy passed the request on: %j', async (headers) => {
    expect(await post(local, '/session/create', { auth_token: 'alice' }, headers)).toEqual(forMachine)
    expect(await post(local, '/mock/inbox/deliver', mail, headers)).toEqual(forMachine)
  })

  test('a forwarded Host is refused on loopback whatever is asked', async () => {
    const host = { host: 'sessions.example.com' }
    const { status, body } = await post(local, '/session/create', { auth_token: 'alice' }, host)
    expect([status, body['message']]).toEqual([403, expect.stringContaining('BROKER_SESSION_URL')])
  })
})

describe('wallet login where the backend is exposed', () => {
  test.each([['sessions.example.com'], ['evil.example.com'], ['127.0.0.1']])(
    'names the configured origin, and not the Host header %s',
    async (host) => {
      const start = { address: account.address.toLowerCase(), chain_id: 1 }
      const { body } = await post(exposed, '/v1/auth/wallet/start', start, { host })
      const { siwe_message: message = '', request_id } = body
      expect(message.split('\n')[0]).toBe(
        'sessions.example.com wants you to sign in with your Ethereum account:',
      )
      expect(message).toContain('\nURI: https://sessions.example.com\n')
      const signature = await account.signMessage({ message })
      const verified = await post(exposed, '/v1/auth/wallet/verify', { request_id, signature }, { host })
      expect(verified).toMatchObject({ status: 200, body: { wallet: account.address.toLowerCase() } })
    },
  )

  test('a web page is refused as ever', async () => {
    const start = { address: account.address.toLowerCase(), chain_id: 1 }
    const headers = { origin: 'https://evil.example.com' }
    expect((await post(exposed, '/v1/auth/wallet/start', start, headers)).status).toBe(403)
  })
})
