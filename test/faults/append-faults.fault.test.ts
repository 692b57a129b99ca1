// Every append of every command, met by everything that can happen to an append: what the caller gets, what leaves the
// broker, what STS was asked, and what the ledger says afterwards.

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'

import { openStore } from '../../src/start/ledger-store.js'
import { DEFAULT_LIMITS } from '../../src/ledger/sequencer.js'
import { type EmbeddedSessions } from '../../src/session/embedded-sessions.js'
import type { LocalAws } from '../../tools/local-aws/server.js'
import { awsFor } from '../support/aws-broker.js'
import { type BrokerInProcess, startInProcess } from '../support/broker-in-process.js'
import { type Fault, FAULTS, FaultyStore } from '../support/faulty-store.js'
import { freePort } from '../support/free-port.js'
import { LEDGERS, type LedgerHome } from '../support/ledger-home.js'
import { type MintReply, Received, repeated } from '../support/received.js'
import { verifiedLedger } from '../support/verified-ledger.js'

/** A store that does not answer is given up soon, and yet only where it never would have. */
const LIMITS = { ...DEFAULT_LIMITS, storeMs: 1_500, retryMs: 1 }
/** For the caller who waits in vain. */
const IN_VAIN_MS = 4_000

/** More silence than any caller waits for. */
const NEVER_ANSWERS: Fault[] = Array.from({ length: 8 }, () => 'no answer, not persisted')

describe.each(LEDGERS)('the ledger in $ledger', ({ openHome }) => {
  let aws: LocalAws
  let broker: BrokerInProcess
  let home: LedgerHome
  let store: FaultyStore
  let bearer: string
  const limits = { ...LIMITS }
  const received = new Received()

  beforeAll(async () => {
    home = await openHome()
    const port = await freePort()
    const account = await awsFor(port)
    aws = account.aws
    broker = await startInProcess(
      port,
      { ...account.env, ...home.env },
      {
        openStore: async (...which) => (store = new FaultyStore(await openStore(...which))),
        limits,
      },
    )
    bearer = (await (broker.parts.sessions as EmbeddedSessions).create('somebody')).session
  })
  afterAll(async () => {
    await broker.close()
    await aws.close()
    await home.dispose()
  })

  afterEach(async () => {
    const ledger = await verifiedLedger(home.folder(broker.dataDir))
    expect(received.unexplainedBy(ledger)).toEqual([])
    expect(repeated(ledger.of('JwtIssued').map(({ data }) => data.mintId))).toEqual([])
    expect(repeated(ledger.of('CredsMinted').map(({ data }) => data.mintId))).toEqual([])
  })

  /** A command, and what it answers when all is well. `appends` names each of its appends. */
  interface Case {
    command: string
    path: string
    body?: object
    stsRefuses?: boolean
    fine: { status: number; error?: string }
    appends: readonly string[]
  }

  const CASES: Case[] = [
    { command: 'a JWT', path: '/v1/mint-oidc-jwt', fine: { status: 200 }, appends: ['JwtIssued'] },
    {
      command: 'a refused JWT',
      path: '/v1/mint-oidc-jwt',
      body: { audience: 'somewhere.else' },
      fine: { status: 403, error: 'forbidden' },
      appends: ['MintRefused'],
    },
    {
      command: 'AWS keys',
      path: '/v1/mint-aws-creds',
      fine: { status: 200 },
      appends: ['JwtIssued', 'CredsMinted'],
    },
    {
      command: 'AWS keys that STS refuses',
      path: '/v1/mint-aws-creds',
      stsRefuses: true,
      fine: { status: 502, error: 'sts_error' },
      appends: ['JwtIssued', 'CredsMintFailed'],
    },
    {
      command: 'refused AWS keys',
      path: '/v1/mint-aws-creds',
      body: { role: 'arn:aws:iam::111122223333:role/another' },
      fine: { status: 403, error: 'forbidden' },
      appends: ['MintRefused'],
    },
  ]

  const UNAVAILABLE = { status: 503, error: 'ledger_unavailable', retryAfter: '1' }

  interface Answer {
    status: number
    error: string | undefined
    retryAfter: string | null
  }

  /** What the caller hears. Doubt about an append is not the caller's: the sequencer finds out what became of it. */
  function answerTo(fault: Fault, fine: Case['fine']): Answer {
    switch (fault) {
      case 'unavailable':
        return UNAVAILABLE
      case 'refused':
        return { status: 500, error: 'audit_error', retryAfter: null }
      case 'unknown, not persisted':
      case 'unknown, persisted':
      case 'no answer, not persisted':
      case 'no answer, persisted':
      case 'crash of the client, not persisted':
      case 'crash of the client, persisted':
        return { status: fine.status, error: fine.error, retryAfter: null }
    }
  }

  interface Met {
    answer: Answer
    /** Calls of STS that this request led to. */
    stsCalls: number
  }

  async function meet({ path, body, stsRefuses }: Case, nth: number, faults: readonly Fault[]): Promise<Met> {
    const before = aws.calls.length
    if (stsRefuses)
      aws.failNext({ kind: 'error', code: 'AccessDenied' }, { action: 'AssumeRoleWithWebIdentity' })
    store.faults.push(...Array<undefined>(nth).fill(undefined), ...faults)
    const reply = await broker.mint(path, bearer, body)
    received.note(reply)
    aws.clearFaults()
    if (reply.status !== 200) expect(Object.keys(reply.body).sort()).toEqual(['error', 'message', 'reason'])
    return { answer: answerOf(reply), stsCalls: aws.calls.length - before }
  }

  function answerOf({ status, body, headers }: MintReply): Answer {
    return { status, error: body.error, retryAfter: headers.get('retry-after') }
  }

  async function expectMintsToWork(): Promise<void> {
    for (const path of ['/v1/mint-oidc-jwt', '/v1/mint-aws-creds']) {
      const reply = await broker.mint(path, bearer)
      received.note(reply)
      expect(reply.status).toBe(200)
    }
  }

  const appends = CASES.flatMap((one) =>
    one.appends.map((append, nth) => ({ ...one, nth, title: `${one.command}: the append of ${append}` })),
  )

  describe.each(appends)('$title', ({ nth, ...one }) => {
    const reachesSts = one.appends.length === 2

    test.each(FAULTS)(
      'meets "%s": nothing leaves that is not in the ledger, and later mints work',
      async (fault) => {
        const { answer, stsCalls } = await meet(one, nth, [fault])

        const expected = answerTo(fault, one.fine)
        expect(answer).toEqual(expected)
        // STS is asked exactly when the announcement was confirmed, and never twice.
        const announced = nth > 0 || expected.status === one.fine.status
        expect(stsCalls).toBe(reachesSts && announced ? 1 : 0)
        await expectMintsToWork()
      },
    )

    test('is never answered: the caller is asked to retry, and gets nothing', async () => {
      limits.callerMs = IN_VAIN_MS
      const { answer, stsCalls } = await meet(one, nth, NEVER_ANSWERS)
      limits.callerMs = LIMITS.callerMs

      expect(answer).toEqual(UNAVAILABLE)
      expect(stsCalls).toBe(nth)
      // The sequencer goes on asking until it knows; from then on it takes more.
      store.faults.length = 0
      await expectMintsToWork()
    })
  })
})
