// The keys that sign tokens, as an operator replaces them: listed, rotated, revoked, by one broker and by several.

import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'

import { BrokerProcess } from '../support/broker-process.js'
import { SharedBrokers } from '../support/shared-brokers.js'
import { runSubcommand } from '../support/subcommand.js'
import { until } from '../support/until.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const JWT = '/v1/mint-oidc-jwt'

interface Listed {
  kid: string
  state: string
  signer: string | null
  then_at: string | null
}

const command = ({ dataDir, options }: BrokerProcess, ...args: string[]) =>
  runSubcommand(['keys', ...args, '--port', String(options.port)], {
    HOME: dataDir,
    BROKER_DATA_DIR: dataDir,
  })

async function done(broker: BrokerProcess, ...args: string[]): Promise<string> {
  const { code, out, err } = await command(broker, ...args)
  expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' })
  return out
}

async function listed(broker: BrokerProcess): Promise<Listed[]> {
  return (JSON.parse(await done(broker, 'list', '--json')) as { keys: Listed[] }).keys
}

async function inState(broker: BrokerProcess, state: string): Promise<Listed[]> {
  return (await listed(broker)).filter((key) => key.state === state)
}

async function minted(broker: BrokerProcess, session: string): Promise<string> {
  const reply = await broker.post<{ jwt: string }>(JWT, session)
  expect(reply).toMatchObject({ status: 200 })
  return reply.body.jwt
}

const kidOf = (jwt: string) => decodeProtectedHeader(jwt).kid

/** With no copy from before. */
const verify = (broker: BrokerProcess, jwt: string) =>
  jwtVerify(jwt, createRemoteJWKSet(new URL('/.well-known/jwks.json', broker.url)))

describe('one broker', () => {
  let broker: BrokerProcess
  let session: string
  beforeAll(async () => {
    broker = await BrokerProcess.start()
    session = (await broker.session()).session
  })
  afterAll(() => broker.dispose())

  test('publishes Next from its first start on, and refuses a rotation until it was published for a day', async () => {
    const [active, next] = await listed(broker)
    expect([active?.state, next?.state]).toEqual(['active', 'next'])
    expect(kidOf(await minted(broker, session))).toBe(active?.kid)
    const { code, err } = await command(broker, 'rotate')
    expect(code).toBe(1)
    expect(err).toContain(`possible from ${next?.then_at}`)
    expect(await done(broker, 'list')).toMatch(
      new RegExp(`${next?.kid} +ES256 +next .*from ${next?.then_at} on`),
    )
  })

  test('in an emergency signs with Next at once, and refuses no mint meanwhile', async () => {
    const [next] = await inState(broker, 'next')
    const before = await minted(broker, session)
    const statuses: number[] = []
    let going = true
    const load = Array.from({ length: 8 }, async () => {
      while (going) statuses.push((await broker.post(JWT, session)).status)
    })
    await done(broker, 'rotate', '--emergency')
    await until(() => statuses.length > 50)
    going = false
    await Promise.all(load)
    expect(statuses.filter((status) => status !== 200)).toEqual([])
    const after = await minted(broker, session)
    expect(kidOf(after)).toBe(next?.kid)
    for (const jwt of [before, after]) await verify(broker, jwt)
    // The active key is in the file that older versions read, and the retired one on no disk.
    const file = JSON.parse(readFileSync(join(broker.dataDir, 'oidc-keypair.json'), 'utf8')) as {
      kid: string
    }
    expect(file.kid).toBe(next?.kid)
    const [another] = await inState(broker, 'next')
    expect(readdirSync(join(broker.dataDir, 'oidc-keypair.d'))).toEqual([`${another?.kid}.json`])
  })

  test('goes on with the same keys after a restart', async () => {
    const before = await listed(broker)
    await broker.stop()
    broker = await broker.restart()
    expect(await listed(broker)).toEqual(before)
    await minted(broker, session)
  })

  test('a revoked key leaves the JWKS at once, Next signs from the same append on, and AWS is not forgotten', async () => {
    const stolen = await minted(broker, session)
    const [active] = await inState(broker, 'active')
    const [next] = await inState(broker, 'next')
    const said = await done(broker, 'revoke', active!.kid, '--reason', 'the disk was copied')
    expect(said).toContain('Deny sts:AssumeRoleWithWebIdentity')
    expect(kidOf(await minted(broker, session))).toBe(next?.kid)
    await expect(verify(broker, stolen)).rejects.toThrow('no applicable key found')
    expect(await command(broker, 'revoke', active!.kid)).toMatchObject({ code: 1 })
    expect(await command(broker, 'retire', 'no-such-key')).toMatchObject({ code: 1 })

    const ledger = await verifiedLedger(broker.dataDir)
    const [revoked] = ledger.of('SigningKeyRevoked')
    expect(revoked?.data).toMatchObject({ kid: active?.kid, reason: 'the disk was copied' })
    const following = ledger.entries.find(({ index }) => index === revoked!.index + 1)
    expect(following).toMatchObject({ type: 'SigningKeyActivated', data: { kid: next?.kid } })
  })

  test('a retired Next never signs, and another one is published', async () => {
    const [next] = await inState(broker, 'next')
    await done(broker, 'retire', next!.kid)
    const [another] = await inState(broker, 'next')
    expect(another?.kid).not.toBe(next?.kid)
    const { body } = await broker.get<{ keys: { kid: string }[] }>('/.well-known/jwks.json')
    expect(body.keys.map(({ kid }) => kid)).not.toContain(next?.kid)
  })

  test('obeys the operator token and no other', async () => {
    for (const bearer of [undefined, session]) {
      expect(await broker.get('/v1/keys', bearer)).toMatchObject({ status: 401 })
      expect(await broker.post('/v1/keys/rotate', bearer, { emergency: true })).toMatchObject({ status: 401 })
    }
  })
})

describe('brokers that share a ledger', () => {
  let shared: SharedBrokers
  beforeAll(async () => {
    shared = await SharedBrokers.open()
  })
  afterAll(() => shared.dispose())

  test('a broker without the new key mints no more and says which file it lacks, until it is there', async () => {
    const [first, second] = [await shared.add(), await shared.add()]
    const { session } = await second.session()
    await minted(second, session)
    const [next] = await inState(first, 'next')
    expect(await inState(second, 'next')).toMatchObject([{ kid: next?.kid, signer: null }])
    expect(second.log).toContain('is not at this broker')

    await done(first, 'rotate', '--emergency')
    await until(async () => (await second.post(JWT, session)).status === 503)
    const { body } = await second.get<{ problems: string[] }>('/readyz')
    expect(body.problems).toEqual([expect.stringContaining(`put the file of ${next?.kid} into`)])

    const folder = join(second.dataDir, 'oidc-keypair.d')
    mkdirSync(folder, { mode: 0o700, recursive: true })
    copyFileSync(join(first.dataDir, 'oidc-keypair.json'), join(folder, `${next?.kid}.json`))
    await until(async () => (await second.post(JWT, session)).status === 200)
    expect(kidOf(await minted(second, session))).toBe(next?.kid)
    await verify(first, await minted(second, session))
    await shared.verified()
  })
})
