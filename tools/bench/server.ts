// A broker in a process of the bench: made of the same parts as agentkeys-broker, with its ledger or with a yardstick.

import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

import { AppModule } from '../../src/app.module.js'
import { openBroker } from '../../src/start/broker.js'
import { readConfig } from '../../src/config.js'
import { createServer } from '../../src/http/server.js'
import type { Ledger } from '../../src/ledger/ledger.js'
import { openLog } from '../../src/logging.js'
import { EmbeddedSessions } from '../../src/session/embedded-sessions.js'
import { VERSION } from '../../src/version.js'
import { bareAppender } from './bare-appender.js'
import { answerOrders } from './child.js'
import { appendingTo, unproved, unrecorded } from './unrecorded-ledger.js'

const LEDGERS = {
  recorded: (ledger: Ledger) => ledger,
  unproved,
  unrecorded,
  signed: (ledger: Ledger, dataDir: string) => onItsOwn(ledger, dataDir, 'signed'),
  unsigned: (ledger: Ledger, dataDir: string) => onItsOwn(ledger, dataDir, 'unsigned'),
}

export type LedgerKind = keyof typeof LEDGERS

export interface ServerOrder {
  ledger: LedgerKind
  /** How many sessions to open. */
  sessions: number
}

interface Server {
  port: number
  bearers: string[]
}

export interface Serving extends Server {
  /** How long the event loop of the main thread did not wait, so far. */
  activeMs: number
}

function onItsOwn(ledger: Ledger, dataDir: string, kind: 'signed' | 'unsigned'): Ledger {
  const { sequencer, close } = bareAppender(join(dataDir, 'bare.sqlite'), kind)
  closing.unshift(close)
  return appendingTo(ledger, sequencer)
}

const closing: (() => Promise<unknown>)[] = []

async function serve({ ledger, sessions }: ServerOrder): Promise<Server> {
  const reading = readConfig(process.env, {
    port: 0,
    bind: '127.0.0.1',
    skipStartupCheck: true,
    insecureLedger: false,
  })
  if (!('config' in reading)) throw new Error(reading.problems.join('\n'))
  const { config } = reading
  const log = openLog(config.logLevel)
  const broker = await openBroker(config, log)
  closing.unshift(() => broker.close())

  const { parts } = broker
  const chosen = LEDGERS[ledger](parts.ledger, config.dataDir)
  const app = await createServer(AppModule.of({ ...parts, ledger: chosen }), log, VERSION)
  await app.listen(0, '127.0.0.1')
  closing.unshift(() => app.close())
  const { port } = app.getHttpServer().address() as AddressInfo
  return { port, bearers: await bearersOf(parts.sessions, sessions) }
}

async function bearersOf(sessions: unknown, count: number): Promise<string[]> {
  if (!(sessions instanceof EmbeddedSessions)) throw new Error('the bench needs the embedded session backend')
  const made = Array.from({ length: count }, (_, i) => sessions.create(`bench ${i}`))
  return (await Promise.all(made)).map(({ session }) => session)
}

let serving: Promise<Server> | undefined

/** Starts at the first order; every other one asks only how busy it was. */
async function answer(order: ServerOrder): Promise<Serving> {
  serving ??= serve(order)
  return { ...(await serving), activeMs: performance.eventLoopUtilization().active }
}

answerOrders(answer, async () => {
  for (const close of closing) await close()
})
