// Every secret that passes through the broker is looked for, byte by byte, in everything the broker leaves behind.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'

import { USER_KEY } from '../../tools/local-aws/default-account.js'
import { type BrokerWithAws, startBrokerWithAws, STATIC_KEYS } from '../support/broker-with-aws.js'
import { expectVerified } from '../support/audited-ledger.js'

const AUTH_TOKEN = 'canary-auth-token-5f3b9c'
const BAD_BEARER = 'canary-bad-bearer-8d21aa'

interface Minted {
  jwt: string
  secret_access_key: string
  session_token: string
}

describe.each([
  { mode: 'web-identity', env: {} },
  { mode: 'assume-role', env: STATIC_KEYS },
])('in $mode mode', ({ env }) => {
  let world: BrokerWithAws
  /** By name, as they were. */
  const secrets = new Map<string, string>()
  /** What callers received, in which no secret but their own may stand. */
  const errors: string[] = []
  const pages: string[] = []

  beforeAll(async () => {
    world = await startBrokerWithAws({ env: { ...env, BROKER_LOG: 'trace' } })
    const { broker, aws } = world
    const { session } = await broker.session(AUTH_TOKEN)
    const { jwt } = (await broker.post<Minted>('/v1/mint-oidc-jwt', session)).body
    const creds = (await broker.post<Minted>('/v1/mint-aws-creds', session)).body
    secrets.set('auth_token', AUTH_TOKEN).set('bad bearer', BAD_BEARER).set('bearer', session)
    secrets.set('JWT', jwt).set('JWT signature', jwt.split('.')[2] ?? '')
    secrets.set('secret key', creds.secret_access_key).set('session token', creds.session_token)
    secrets.set('static secret key', USER_KEY.secretAccessKey)
    for (const file of ['ledger-key.json', 'oidc-keypair.json', 'auditor-token']) {
      secrets.set(file, secretIn(readFileSync(join(broker.dataDir, file), 'utf8')))
    }

    const mints = ['/v1/mint-oidc-jwt', '/v1/mint-aws-creds']
    for (const path of mints) {
      for (const bearer of [BAD_BEARER, jwt]) await wrong(path, bearer)
      for (const text of [session, jwt, AUTH_TOKEN]) {
        await wrong(path, session, { role: text })
        await wrong(path, session, { [text]: 1 })
        await wrong(path, session, { role: { [text]: text } })
        await wrong(path, session, `{"role":"${text}"`)
        await wrong(`${path}/${text}`, session)
        await wrong(`${path}?access_token=${text}`, undefined)
      }
    }
    // An STS, or what a proxy puts in its place, that quotes the key it was shown.
    if ('DAEMON_ACCESS_KEY_ID' in env) {
      aws.failNext({ kind: 'error', code: 'ValidationError', message: `no: ${USER_KEY.secretAccessKey}` })
      await wrong('/v1/mint-aws-creds', session)
    }
    aws.failNext({ kind: 'empty' })
    await wrong('/v1/mint-aws-creds', session)
    for (const path of ['/metrics', '/openapi.json', '/readyz', '/v1/audit/mints', '/ledger/checkpoint']) {
      const response = await fetch(broker.url + path, { headers: { authorization: `Bearer ${session}` } })
      expect([path, response.status]).toEqual([path, 200])
      pages.push(await response.text())
    }
  })

  async function wrong(path: string, bearer: string | undefined, body?: unknown): Promise<void> {
    const reply = await world.broker.post(path, bearer, body)
    expect(reply.status).toBeGreaterThanOrEqual(400)
    errors.push(JSON.stringify(reply.body ?? ''), JSON.stringify([...reply.headers]))
  }

  afterEach(() => expectVerified(world.broker.dataDir))

  afterAll(() => world.dispose())

  /** The names of the secrets that stand in `bytes`: as they are, in base64 of either alphabet, in hex. */
  function foundIn(bytes: Buffer, except: readonly string[] = []): string[] {
    return [...secrets]
      .filter(([name]) => !except.includes(name))
      .filter(([, secret]) => spellings(secret).some((spelling) => bytes.includes(spelling)))
      .map(([name]) => name)
  }

  test('no file of the data directory holds one, but the files that are there for it', () => {
    const { dataDir } = world.broker
    const files = readdirSync(dataDir, { recursive: true, withFileTypes: true }).filter((file) =>
      file.isFile(),
    )
    const found = files.map(({ name, parentPath }) => [
      name,
      foundIn(readFileSync(join(parentPath, name)), [name]),
    ])
    expect(found.filter(([, names]) => names?.length !== 0)).toEqual([])
    expect(files.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['ledger.sqlite', 'audit.sqlite', 'sessions.sqlite', 'ledger.sqlite-wal']),
    )
  })

  test('no file and no log line holds any JWT at all, the one shown to STS included', () => {
    const { dataDir, log } = world.broker
    const files = readdirSync(dataDir, { recursive: true, withFileTypes: true }).filter((file) =>
      file.isFile(),
    )
    const texts = files.map(({ name, parentPath }) => readFileSync(join(parentPath, name), 'latin1'))
    for (const text of [...texts, log]) expect(text).not.toMatch(/eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}/)
  })

  test('the whole log at trace level holds none', () => {
    const { log, out } = world.broker
    expect(log.match(/"msg":"request"/g)?.length).toBeGreaterThan(20)
    expect(foundIn(Buffer.from(log + out))).toEqual([])
  })

  test('no error, header, metric or page holds one', () => {
    expect(errors.length).toBeGreaterThan(30)
    for (const text of [...errors, ...pages]) expect([text, foundIn(Buffer.from(text))]).toEqual([text, []])
  })

  test('no secret is in the argv, and there is no child process that could inherit one', () => {
    const { pid } = world.broker
    expect(foundIn(readFileSync(`/proc/${pid}/cmdline`))).toEqual([])
    const threads = readdirSync(`/proc/${pid}/task`)
    const children = threads.map((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8'))
    expect(children.join('')).toBe('')
  })
})

/** The secret part of a key file: the PEM's second line, the note key's last field, or all of it. */
function secretIn(text: string): string {
  if (!text.startsWith('{')) return text.trim()
  const { private_key_pem, skey } = JSON.parse(text) as { private_key_pem?: string; skey?: string }
  return private_key_pem?.split('\n')[1] ?? skey?.split('+').at(-1) ?? ''
}

function spellings(secret: string): string[] {
  const bytes = Buffer.from(secret)
  return [
    secret,
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    bytes.toString('hex'),
  ]
}
