// A broker in front of an STS that is not AWS's, and does not say whose session it opened: what the caller is given, and
// what the ledger says of it.

import { afterEach, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { issued, refused, type Reply, type ScriptedSts, scriptedSts } from '../support/scripted-sts.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const ROLE = 'arn:aws:iam::role/agentkeys-data'

let sts: ScriptedSts
let broker: BrokerProcess
afterEach(async () => {
  await broker.stop()
  await sts.stop()
})

/** What SeaweedFS repeats of a token is its subject alone. */
const seaweed = (subject: () => string): Reply => {
  const left = {
    Audience: undefined,
    Provider: undefined,
    SourceIdentity: undefined,
    AssumedRoleUser: undefined,
  }
  const Expiration = new Date(Date.now() + 3_600_000).toISOString()
  return (socket, form) =>
    issued({ ...left, SubjectFromWebIdentityToken: subject(), Expiration })(socket, form)
}

test('credentials of SeaweedFS are handed over, and the ledger says that STS named no session', async () => {
  let wallet = ''
  sts = await scriptedSts(
    refused('MissingAuthenticationToken', 403, 'Missing Authentication Token'),
    seaweed(() => `agentkeys:agent:${wallet}`),
    seaweed(() => 'another'),
  )
  broker = await BrokerProcess.start({
    env: { BROKER_STS_KIND: 's3-compatible', AWS_ENDPOINT_URL_STS: sts.url, BROKER_DATA_ROLE_ARN: ROLE },
  })
  const caller = await broker.session()
  wallet = caller.wallet
  const mint = () => broker.post('/v1/mint-aws-creds', caller.session, {})

  expect(await mint()).toMatchObject({ status: 200, body: { role_arn: ROLE, wallet } })
  expect(await mint()).toMatchObject({ status: 502 })

  const { entries } = await verifiedLedger(broker.dataDir)
  expect(entries.filter(({ type }) => type.startsWith('Creds'))).toMatchObject([
    { type: 'CredsMinted', data: { roleArn: ROLE, assumedRoleArn: null } },
    { type: 'CredsMintFailed', data: { roleArn: ROLE, code: 'credentials-unusable' } },
  ])
})
