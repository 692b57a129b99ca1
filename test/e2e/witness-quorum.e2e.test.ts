// Every mint needs witnesses here, and one of two is enough.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'

import { parsePolicy } from '../../src/domain/ledger/policy.js'
import { parseProof } from '../../src/domain/ledger/proof.js'
import { verifyReceipt } from '../../src/domain/ledger/receipt.js'
import { entriesOf, expectVerified } from '../support/audited-ledger.js'
import { type BrokerWithAws, startBrokerWithAws } from '../support/broker-with-aws.js'
import type { MintReply } from '../support/received.js'
import { until } from '../support/until.js'
import { verifyLedger } from '../support/verify-ledger.js'
import { WitnessedFolder } from '../support/witnessed-broker.js'

const MINTS = ['/v1/mint-oidc-jwt', '/v1/mint-aws-creds']

const TOO_FEW =
  /^ledger unavailable: too few witnesses cosigned in time: nothing is handed out \(w1: unreachable, .+; w2: unreachable, .+\)$/

let folder: WitnessedFolder
let world: BrokerWithAws
let session: string

/** No one is there when the broker starts. */
beforeAll(async () => {
  folder = await WitnessedFolder.open(2, 1)
  await folder.stopWitness(1)
  await folder.stopWitness(2)
  const env = {
    ...folder.env,
    BROKER_RELEASE_REQUIRES: 'witnessed',
    BROKER_WITNESS_TIMEOUT_SECONDS: '1',
  }
  world = await startBrokerWithAws({ dataDir: folder.dataDir, env })
  ;({ session } = await world.broker.session())
})
afterEach(() => expectVerified(folder.dataDir))
afterAll(async () => {
  await world.dispose()
  await folder.dispose()
})

const mint = (path: string): Promise<MintReply> => world.broker.post(path, session)

test.each(MINTS)(
  '%s: without any witness nothing is released, and what was announced stays',
  async (path) => {
    const before = entriesOf(folder.dataDir).length
    const { status, body } = await mint(path)
    expect(status).toBe(503)
    expect(body).toEqual({
      error: 'ledger_unavailable',
      message: expect.stringMatching(TOO_FEW) as unknown,
      reason: 'ledger-unavailable',
    })
    const outcome = path === '/v1/mint-aws-creds' ? ['CredsMinted'] : []
    expect(
      entriesOf(folder.dataDir)
        .slice(before)
        .map(({ type }) => type),
    ).toEqual(['SessionValidated', 'JwtIssued', ...outcome])
  },
)

test('one of the two comes back: all is released, cosigned by it, and the other is not waited for', async () => {
  await folder.restartWitness(1)
  for (const path of MINTS) {
    const { body } = await mintedAtLast(path)
    const { receipt } = body.ledger as unknown as { receipt: string }
    const verdict = verifyReceipt(parseProof(receipt), parsePolicy(folder.policy(1)), { jwt: body.jwt })
    expect(verdict.ok && verdict.cosignatures.map(({ witness }) => witness.name)).toEqual([
      'witness.example/w1',
    ])
    const strict = verifyReceipt(parseProof(receipt), parsePolicy(folder.policy(2)), { jwt: body.jwt })
    expect(strict).toEqual({ ok: false, problem: 'quorum-missing' })
  }
})

async function mintedAtLast(path: string): Promise<MintReply> {
  let reply = await mint(path)
  await until(
    async () => {
      if (reply.status === 200) return true
      expect(reply.status).toBe(503)
      reply = await mint(path)
      return false
    },
    () => 'a quorum is there, and nothing is released',
  )
  return reply
}

test('an auditor who wants one witness is content, one who wants both is not', async () => {
  await mintedAtLast('/v1/mint-oidc-jwt')
  const policyPath = join(folder.dataDir, 'policy')
  const verdict = (threshold: number) => {
    writeFileSync(policyPath, folder.policy(threshold))
    const token = join(folder.dataDir, 'auditor-token')
    return verifyLedger(`${world.broker.url}/ledger`, '--policy', policyPath, '--token-file', token)
  }
  expect(await verdict(1)).toMatchObject({ code: 0, report: { ok: true } })
  expect(await verdict(2)).toMatchObject({
    code: 1,
    report: { ok: false, findingsByKind: { 'quorum-missing': 1 } },
  })
})

test('the quorum moves from one witness to the other, over a restart', async () => {
  expect(await world.broker.stop()).toBe(0)
  await folder.stopWitness(1)
  await folder.restartWitness(2)
  world.broker = await world.broker.restart()
  ;({ session } = await world.broker.session())
  const { body } = await mintedAtLast('/v1/mint-oidc-jwt')
  const { receipt } = body.ledger as unknown as { receipt: string }
  const verdict = verifyReceipt(parseProof(receipt), parsePolicy(folder.policy(1)), { jwt: body.jwt })
  expect(verdict.ok && verdict.cosignatures.map(({ witness }) => witness.name)).toEqual([
    'witness.example/w2',
  ])
})
