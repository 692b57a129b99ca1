// Limits by identity: who asks too often hears when to come back, and others do not notice.

import { expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const JWT = '/v1/mint-oidc-jwt'

test('a wallet over its limit is 429 with a time; others, and what relying parties read, go on', async () => {
  const broker = await BrokerProcess.start({ env: { BROKER_LIMIT_WALLET_PER_MINUTE: '1' } })
  try {
    // The same auth token is the same wallet.
    const [first, again, other] = [
      await broker.session('alice'),
      await broker.session('alice'),
      await broker.session('bob'),
    ]
    expect(await broker.post(JWT, first.session)).toMatchObject({ status: 200 })
    const limited = await broker.post(JWT, again.session)
    expect(limited).toMatchObject({
      ...{ status: 429, body: { error: 'too_many_requests', reason: 'rate-limited' } },
    })
    expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await broker.post(JWT, other.session)).toMatchObject({ status: 200 })
    for (const path of ['/.well-known/jwks.json', '/.well-known/openid-configuration', '/readyz'])
      expect(await broker.get(path)).toMatchObject({ status: 200 })

    expect(await broker.stop()).toBe(0)
    const ledger = await verifiedLedger(broker.dataDir)
    expect(ledger.of('MintRefused')).toEqual([])
    expect(ledger.of('RefusalsCounted')).toMatchObject([{ data: { counts: { 'rate-limited': 1 } } }])
  } finally {
    await broker.dispose()
  }
})
