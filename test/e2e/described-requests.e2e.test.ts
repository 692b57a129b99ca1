// Random requests for every operation of both descriptions: no reply that is not described, and no 500.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, test } from '@jest/globals'
import fc from 'fast-check'

import { type BrokerWithAws, startBrokerWithAws } from '../support/broker-with-aws.js'
import { BROKER_API, type Description, SESSION_API } from '../support/described.js'
import { type AskedRequest, Requests } from '../support/described-requests.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const SEED = 14
const RUNS = 30

let world: BrokerWithAws
let known: Record<string, string[]>
let bearers: string[]
beforeAll(async () => {
  world = await startBrokerWithAws()
  const { broker } = world
  const { session, wallet } = await broker.session()
  const { body } = await broker.post<{ jti: string }>('/v1/mint-oidc-jwt', session)
  const wallets = ['wallet', 'agent_id', 'wallet_address', 'owner', 'agent']
  known = { jti: [body.jti], ...Object.fromEntries(wallets.map((name) => [name, [wallet]])) }
  const tokens = ['auditor-token', 'operator-token'].map((name) =>
    readFileSync(join(broker.dataDir, name), 'utf8').trim(),
  )
  bearers = [session, session, ...tokens, 'nothing']
})
afterAll(async () => {
  await verifiedLedger(world.broker.dataDir)
  await world.dispose()
})

/** What ends sessions or cuts off comes last: after it, less of the rest is reached. */
const ENDS = /revoke|teardown|cut-off|restore/

function operationsOf({ document }: Description): [string, string][] {
  const all = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method): [string, string] => [method, path]),
  )
  return [...all.filter(([, path]) => !ENDS.test(path)), ...all.filter(([, path]) => ENDS.test(path))]
}

async function send(url: string, { method, path, headers, body }: AskedRequest, api: Description) {
  const content = method === 'GET' || body === undefined ? {} : { body }
  const response = await fetch(url + path, { method, headers, ...content })
  // The client takes the dots out of a path before it sends it.
  const sent = response.url.slice(url.length)
  const reply = { method, path: sent, status: response.status, headers: response.headers }
  const text = await response.text()
  api.check({ ...reply, text })
  if (response.status === 500) throw new Error(`${method} ${path} answered 500: ${text}`)
}

describe.each([
  ['the broker API', BROKER_API, () => world.broker.url],
  ['the session API', SESSION_API, () => world.broker.sessionUrl],
] as const)(`random requests to ${'%s'} (seed ${SEED})`, (_name, api, url) => {
  test.each(operationsOf(api))('are answered as described: %s %s', async (method, path) => {
    const operation = api.document.paths[path]?.[method]
    if (!operation) throw new Error('there is no such operation')
    const requests = new Requests(api, known, bearers).of(path, method, operation)
    await fc.assert(
      fc.asyncProperty(requests, (request) => send(url(), request, api)),
      { seed: SEED, numRuns: RUNS },
    )
  })
})
