// A long-running child at its endpoint, on a real socket, over hours of a clock that is set.

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { ClientError } from '../client/errors.js'

import { CredentialHolder } from './credential-holder.js'
import { type Endpoint, openEndpoint } from './endpoint.js'
import type { HeldCredentials } from './held-credentials.js'

const MINUTE = 60_000
const LIFE = 60 * MINUTE

let now: number
let mints: number
let down: boolean
let endpoint: Endpoint

function mint(): Promise<HeldCredentials> {
  if (down)
    return Promise.reject(new ClientError('unreachable', 'https://broker.example.com cannot be reached'))
  mints += 1
  return Promise.resolve({
    accessKeyId: `ASIA${mints}`,
    secretAccessKey: 'secret',
    sessionToken: 'token',
    wallet: `0x${'1'.repeat(40)}`,
    roleArn: 'arn:aws:iam::111122223333:role/agentkeys-data-role',
    region: 'us-east-1',
    mintId: String(mints),
    ledgerIndex: mints,
    mintedAt: now,
    expiresAt: now + LIFE,
  })
}

beforeEach(async () => {
  ;[now, mints, down] = [Date.parse('2030-01-01T00:00:00Z'), 0, false]
  const holder = new CredentialHolder({ mint, now: () => now, onRenewalFailed: () => undefined })
  endpoint = await openEndpoint(() => holder.get())
})
afterEach(() => endpoint.close())

async function ask(): Promise<{ status: number; body: Record<string, string> }> {
  const reply = await fetch(endpoint.url, { headers: { authorization: endpoint.token } })
  return { status: reply.status, body: (await reply.json()) as Record<string, string> }
}

test('across three expiries it is served without a gap, never with less than the 15 minutes that SDKs refresh in', async () => {
  const left: number[] = []
  for (let minute = 0; minute <= 200; minute += 1, now += MINUTE) {
    const { status, body } = await ask()
    expect([minute, status]).toEqual([minute, 200])
    left.push(Date.parse(body['Expiration'] ?? '') - now)
  }
  expect(Math.min(...left)).toBeGreaterThan(15 * MINUTE)
  // One for each half of a life, and the first.
  expect(mints).toBeLessThanOrEqual(8)
})

test('with the broker down it serves while 15 minutes are left, then says why not, and recovers by itself', async () => {
  expect((await ask()).status).toBe(200)
  down = true
  const seen = new Set<string>()
  for (let minute = 1; minute <= 90; minute += 1) {
    now += MINUTE
    const { status, body } = await ask()
    if (status === 200) expect(Date.parse(body['Expiration'] ?? '') - now).toBeGreaterThanOrEqual(15 * MINUTE)
    else
      expect(body).toEqual({
        Code: expect.any(String),
        Message: expect.stringContaining('cannot be reached'),
      })
    seen.add(`${minute <= 45 ? 'enough' : 'too little'} left: ${status}`)
  }
  expect([...seen]).toEqual(['enough left: 200', 'too little left: 503'])
  down = false
  expect(await ask()).toMatchObject({ status: 200, body: { AccessKeyId: 'ASIA2' } })
})
