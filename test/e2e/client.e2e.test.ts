// The client library against a broker and the local AWS, on real sockets.

import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import { afterAll, beforeAll, expect, test } from '@jest/globals'

import { BrokerClient } from '../../tools/client/broker-client.js'
import { checkReceipt, ledgerPolicy } from '../../tools/client/receipts.js'
import { fromAgentKeys } from '../../tools/client/aws-provider.js'
import { DATA_ROLE_ARN } from '../../tools/local-aws/default-account.js'
import { VKEY } from '../support/ledger-builder.js'
import { type BrokerWithAws, startBrokerWithAws } from '../support/broker-with-aws.js'
import { verifiedLedger } from '../support/verified-ledger.js'

let world: BrokerWithAws
let session: string
let wallet: string
let ledgerVkey: string
beforeAll(async () => {
  world = await startBrokerWithAws()
  ;({ session, wallet } = await world.broker.session())
  const reply = await fetch(`${world.broker.url}/ledger/vkey`)
  ledgerVkey = (await reply.text()).trim()
})
afterAll(async () => {
  await verifiedLedger(world.broker.dataDir)
  await world.dispose()
})

const client = (options = {}) => new BrokerClient({ url: world.broker.url, session, ledgerVkey, ...options })

test('a token is returned with its receipt verified against the pinned key', async () => {
  const minted = await client().mintJwt({ ttlSeconds: 120 })
  expect(minted.wallet).toBe(wallet)
  expect(minted.expiresAt.getTime() - Date.now()).toBeLessThanOrEqual(120_000)
})

test('AWS credentials are returned with their receipt verified, and AWS accepts them', async () => {
  const minted = await client().mintAwsCredentials()
  const sts = new STSClient({ region: minted.region, endpoint: world.aws.url, credentials: minted })
  const { Arn } = await sts.send(new GetCallerIdentityCommand({}))
  expect(Arn).toContain(minted.mintId)
  sts.destroy()
})

test('clients that start at once share one mint of fromAgentKeys()', async () => {
  const credentials = fromAgentKeys({ url: world.broker.url, session, ledgerVkey })
  const minted = await Promise.all(Array.from({ length: 50 }, () => credentials()))
  expect(new Set(minted.map(({ accessKeyId }) => accessKeyId)).size).toBe(1)
  expect(minted[0]?.accountId).toBe(DATA_ROLE_ARN.split(':')[4])
})

test('another ledger key than the pinned one is refused, before the credential is returned', async () => {
  const mint = client({ ledgerVkey: VKEY }).mintJwt()
  await expect(mint).rejects.toMatchObject({ code: 'receipt_invalid' })
})

test('a refusal of the broker arrives with its code', async () => {
  await expect(client().mintJwt({ audience: 'not-allowed' })).rejects.toMatchObject({ code: 'forbidden' })
  await expect(client({ session: 'f'.repeat(64) }).mintJwt()).rejects.toMatchObject({ code: 'unauthorized' })
})

test('the receipt of one mint does not pass for another, nor for other members', async () => {
  const policy = ledgerPolicy(ledgerVkey)
  const [one, other] = [await client().mintAwsCredentials(), await client().mintAwsCredentials()]
  const expected = ({ mintId, accessKeyId }: typeof one) => ({
    type: 'CredsMinted',
    data: { mintId, accessKeyId },
  })
  expect(checkReceipt(one.ledger, policy, expected(one)).data['wallet']).toBe(wallet)
  const refused = expect.objectContaining({ code: 'receipt_invalid' })
  expect(() => checkReceipt(one.ledger, policy, expected(other))).toThrow(refused)
  expect(() => checkReceipt({ ...one.ledger, index: one.ledger.index + 1 }, policy, expected(one))).toThrow(
    refused,
  )
  expect(() => checkReceipt({ ...one.ledger, leafHash: '0'.repeat(64) }, policy, expected(one))).toThrow(
    refused,
  )
  expect(() => checkReceipt(one.ledger, policy, { ...expected(one), type: 'JwtIssued' })).toThrow(refused)
  const { receipt } = one.ledger
  for (let at = 0; at < receipt.length; at += 37) {
    const altered = receipt.slice(0, at) + (receipt[at] === 'A' ? 'B' : 'A') + receipt.slice(at + 1)
    expect(() => checkReceipt({ ...one.ledger, receipt: altered }, policy, expected(one))).toThrow(refused)
  }
})
