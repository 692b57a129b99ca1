// What a child session is bound by, from the session backend's answer to the ledger's entry.

import { hash } from 'node:crypto'

import { afterAll, beforeAll, expect, test } from '@jest/globals'

import type { RefusalReason } from '../../src/domain/ledger/events.js'
import { DATA_ROLE_ARN } from '../../tools/local-aws/default-account.js'
import { type BrokerWithAws, OTHER_ROLE_ARN, startBrokerWithAws } from '../support/broker-with-aws.js'
import type { MintReply } from '../support/received.js'
import { verifiedLedger } from '../support/verified-ledger.js'

let world: BrokerWithAws
beforeAll(async () => {
  const env = { BROKER_ALLOWED_ROLE_ARNS: OTHER_ROLE_ARN, BROKER_READ_ONLY_ROLE_ARNS: OTHER_ROLE_ARN }
  world = await startBrokerWithAws({ env })
})
afterAll(() => world.dispose())

async function childOf(bearer: string, scope: object): Promise<{ session: string; wallet: string }> {
  const response = await fetch(`${world.broker.sessionUrl}/session/child`, {
    method: 'POST',
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    body: JSON.stringify({ scope }),
  })
  return (await response.json()) as { session: string; wallet: string }
}

interface Scope {
  services: string[]
  read_only: boolean
}

const JWT = '/v1/mint-oidc-jwt'
const CREDS = '/v1/mint-aws-creds'

test('a child is given what its scope holds, and its entries say what bound it', async () => {
  const { broker } = world
  const parent = await broker.session()
  const cases: [Scope, string, object, RefusalReason | undefined][] = [
    [{ services: ['aws'], read_only: false }, CREDS, {}, undefined],
    [{ services: ['aws'], read_only: false }, JWT, { role: OTHER_ROLE_ARN }, undefined],
    [{ services: [], read_only: true }, CREDS, {}, 'service-not-in-scope'],
    [{ services: ['s3'], read_only: false }, JWT, {}, 'service-not-in-scope'],
    [{ services: ['aws'], read_only: true }, CREDS, { role: DATA_ROLE_ARN }, 'read-only-session'],
    [{ services: ['aws'], read_only: true }, JWT, {}, 'read-only-session'],
    [{ services: ['aws'], read_only: true }, CREDS, { role: OTHER_ROLE_ARN }, undefined],
  ]
  for (const [scope, path, ask, reason] of cases) {
    const { session, wallet } = await childOf(parent.session, scope)
    const { status }: MintReply = await broker.post(path, session, ask)
    expect({ scope, path, status }).toEqual({ scope, path, status: reason === undefined ? 200 : 403 })

    const { entries } = await verifiedLedger(broker.dataDir)
    const own = entries.filter(({ data }) => data['wallet'] === wallet)
    if (reason === undefined) expect(own[1]).toMatchObject({ type: 'SessionScoped', data: scoped(scope) })
    else expect(own).toMatchObject([{ type: 'MintRefused', data: { reason } }])
  }

  function scoped({ services, read_only: readOnly }: Scope): object {
    const { wallet, session } = parent
    return { services, readOnly, parents: [{ wallet, tokenSha256: hash('sha256', session) }] }
  }
})
