// The mail router as an operator runs it: its own process, with exactly the rights that cloud-setup prints for its role,
// between an SMTP listener that does as SES, an S3 that decides by policies as AWS does, and the real session backend.

import { type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { createTransport } from 'nodemailer'

import { bucketPolicy, type CloudPlan, routerPolicy, RULE, RULE_SET } from '../../src/domain/cloud/plan.js'
import { type LocalAws, startLocalAws } from '../../tools/local-aws/server.js'
import { type LocalMail, SPAM, startLocalMail, VIRUS } from '../../tools/local-mail/server.js'
import { freePort } from '../support/free-port.js'
import { spawnSubcommand } from '../support/subcommand.js'
import { until } from '../support/until.js'

const PLAN: CloudPlan = {
  account: '111122223333',
  region: 'us-east-1',
  issuer: 'https://broker.example.com',
  provider: 'broker.example.com',
  dataRole: 'agentkeys-data-role',
  bucket: 'agentkeys-data',
  mailDomain: 'mail.example.com',
}
const ROUTER = { accessKeyId: 'AKIAROUTERROUTER0000', secretAccessKey: 'secret-of-the-router-0123456789' }
const SES = {
  service: 'ses.amazonaws.com',
  sourceArn: `arn:aws:ses:${PLAN.region}:${PLAN.account}:receipt-rule-set/${RULE_SET}:receipt-rule/${RULE}`,
  sourceAccount: PLAN.account,
}

let aws: LocalAws
let mail: LocalMail
let folder: string
let sessions: Running
let backendUrl: string
let routers: Running[]
let inboxes: Record<'ann' | 'bob', { wallet: string; address: string }>

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mail-router-'))
  const router = {
    arn: `arn:aws:iam::${PLAN.account}:user/router`,
    ...ROUTER,
    policies: [routerPolicy(PLAN)],
  }
  const bucket = { name: PLAN.bucket, account: PLAN.account, policy: bucketPolicy(PLAN) }
  aws = await startLocalAws({ account: { providers: [], roles: [], users: [router], buckets: [bucket] } })
  mail = await startLocalMail({
    domain: PLAN.mailDomain,
    store: (id, message) => aws.s3.deliver(SES, { bucket: PLAN.bucket, key: `inbound/${id}` }, message),
  })
  const bind = `127.0.0.1:${await freePort()}`
  backendUrl = `http://${bind}`
  const env = { BROKER_DATA_DIR: folder, BROKER_SESSION_BIND: bind, BROKER_MAIL_DOMAIN: PLAN.mailDomain }
  sessions = await Running.start('session-backend', { ...env, ...TOKEN() })
  inboxes = { ann: await inboxOf('ann'), bob: await inboxOf('bob') }
})
afterAll(async () => {
  await Promise.all([...routers, sessions].map((one) => one.end()))
  await Promise.all([mail.close(), aws.close()])
  rmSync(folder, { recursive: true, force: true })
})

beforeEach(async () => {
  mail.behave({})
  routers = [await router()]
})
afterEach(() => Promise.all(routers.map((one) => one.end())))

const TOKEN = () => ({ BROKER_MAIL_ROUTER_TOKEN_FILE: join(folder, 'router-token') })

class Running {
  log = ''
  private readonly ended: Promise<unknown>

  private constructor(private readonly child: ChildProcess) {
    this.ended = once(child, 'close')
    child.stderr?.on('data', (text: Buffer) => (this.log += text.toString()))
  }

  static async start(command: string, env: Record<string, string>): Promise<Running> {
    const running = new Running(spawnSubcommand([command], env))
    const { child } = running
    await until(
      () => running.log.includes('listening on') || child.exitCode !== null,
      () => running.log,
    )
    if (child.exitCode !== null) throw new Error(running.log)
    return running
  }

  /** All that the process has read so far, from sockets too, as Linux counts. */
  get bytesRead(): number {
    return Number(/rchar: (\d+)/.exec(readFileSync(`/proc/${this.child.pid}/io`, 'utf8'))?.[1])
  }

  async end(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.ended
  }
}

function router(): Promise<Running> {
  return Running.start('mail-router', {
    ...TOKEN(),
    BROKER_BACKEND_URL: backendUrl,
    BROKER_DATA_BUCKET: PLAN.bucket,
    BROKER_MAIL_POLL_SECONDS: '1',
    AWS_ENDPOINT_URL_S3: aws.s3.url,
    AWS_ACCESS_KEY_ID: ROUTER.accessKeyId,
    AWS_SECRET_ACCESS_KEY: ROUTER.secretAccessKey,
    AWS_EC2_METADATA_DISABLED: 'true',
    HOME: folder,
  })
}

async function inboxOf(name: string) {
  const post = async (path: string, body: object, session = '') => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${session}` }
    const reply = await fetch(backendUrl + path, { method: 'POST', headers, body: JSON.stringify(body) })
    return (await reply.json()) as Record<string, string>
  }
  const { session = '', wallet = '' } = await post('/session/create', { auth_token: name })
  const { address = '' } = await post('/mock/inbox/provision', { agent_id: wallet }, session)
  return { wallet, address }
}

interface Message {
  to?: string
  subject?: string
  text?: string
}

/** Sends to the envelope's recipients, whatever `to` says, and resolves with the message's id. */
async function send(
  recipients: string[],
  { to = 'x@example.org', ...message }: Message = {},
): Promise<string> {
  const { host, port } = mail
  const before = mail.stored.length
  await createTransport({ host, port, ignoreTLS: true }).sendMail({
    ...{ from: 'a@example.org', to, text: 'hello', ...message },
    envelope: { from: 'a@example.org', to: recipients },
  })
  return mail.stored[before] ?? ''
}

const keysOf = (id: string) =>
  aws.s3
    .keys(PLAN.bucket)
    .filter((key) => key.endsWith(id))
    .sort()

/** Where the message is when it has left `inbound/`. */
async function routed(id: string): Promise<string[]> {
  await until(
    () => !keysOf(id).includes(`inbound/${id}`),
    () => `it stays in inbound: ${routers.map(({ log }) => log).join('\n')}`,
  )
  return keysOf(id)
}

const inboxKey = (name: 'ann' | 'bob', id: string) => `users/${inboxes[name].wallet}/inbox/${id}`

test('by the envelope: a To: of another wallet, folded and encoded headers change nothing', async () => {
  const { ann, bob } = inboxes
  const subject = `${'Grüße und ein langer Betreff '.repeat(8)}\u{1F511}`
  const id = await send([ann.address], { to: `"${bob.wallet}" <${bob.address}>`, subject })
  expect(await routed(id)).toEqual([inboxKey('ann', id)])
})

test('two recipients get a copy each, and where none is named nothing is guessed', async () => {
  const both = [inboxes.ann.address, inboxes.bob.address]
  mail.behave({ naming: 'all' })
  const named = await send(both)
  expect(await routed(named)).toEqual([inboxKey('ann', named), inboxKey('bob', named)].sort())
  mail.behave({ naming: 'none' })
  const unnamed = await send(both, { to: both.join(', ') })
  expect(await routed(unnamed)).toEqual([`undelivered/${unnamed}`])
})

test('an address without an inbox is set aside; spam and a virus are dropped', async () => {
  const stray = await send([`${inboxes.ann.wallet}@${PLAN.mailDomain}`])
  expect(await routed(stray)).toEqual([`undelivered/${stray}`])
  for (const text of [SPAM, VIRUS])
    expect(await routed(await send([inboxes.ann.address], { text }))).toEqual([])
})

test('40 MB go through a router that reads none of it but its head', async () => {
  await routed(await send([inboxes.ann.address]))
  const before = routers[0]?.bytesRead ?? NaN
  const id = await send([inboxes.ann.address], { text: `${'x'.repeat(75)}\n`.repeat(500_000) })
  expect(await routed(id)).toEqual([inboxKey('ann', id)])
  expect((routers[0]?.bytesRead ?? NaN) - before).toBeLessThan(2_000_000)
})

test('two routers at once: every message arrives, and none is anywhere else', async () => {
  routers.push(await router())
  const ids = await Promise.all(
    Array.from({ length: 20 }, (_, i) => send([inboxes[i % 2 === 0 ? 'ann' : 'bob'].address])),
  )
  for (const id of ids) expect(await routed(id)).toHaveLength(1)
})

test.each(['ListObjectsV2', 'GetObject', 'CopyObject', 'DeleteObject'])(
  'S3 that fails at %s delays a message, and loses none',
  async (action) => {
    const fault = { kind: 'error', code: 'ServiceUnavailable', status: 503 } as const
    aws.s3.failNext(fault, { action, times: 4 })
    const id = await send([inboxes.bob.address])
    expect(await routed(id)).toEqual([inboxKey('bob', id)])
  },
)

test('a router that is killed leaves nothing half done to the next', async () => {
  const ids = await Promise.all(Array.from({ length: 10 }, () => send([inboxes.ann.address])))
  await Promise.all(routers.map((one) => one.end()))
  routers = [await router()]
  for (const id of ids) expect(await routed(id)).toEqual([inboxKey('ann', id)])
})
