#!/usr/bin/env node
// agentkeys-broker: parse, open, listen, and end in order.

import type { Logger } from 'pino'

import { AppModule } from './app.module.js'
import { type Broker, openBroker } from './broker.js'
import { type Config, readConfig } from './config.js'
import { describeConfig } from './config/effective.js'
import { type Flags, parseFlags, USAGE } from './flags.js'
import { createServer } from './http/server.js'
import { startSessionListener } from './http/session-listener.js'
import { CheckpointTrace } from './ledger/checkpoint-trace.js'
import { exportTiles } from './ledger/export-tiles.js'
import { loadOrCreateLedgerKey } from './ledger/key.js'
import { LedgerRefused } from './ledger/open-ledger.js'
import { openLog } from './logging.js'
import { openStore, tracePath } from './records.js'
import { EmbeddedSessions } from './session/embedded-sessions.js'
import { VERSION } from './version.js'

async function main(): Promise<void> {
  const line = parseFlags(process.argv.slice(2))
  switch (line.kind) {
    case 'help':
      return print(USAGE)
    case 'version':
      return print(VERSION)
    case 'wrong-usage':
      return end(2, line.message)
    case 'print-config':
      return print(JSON.stringify(describeConfig(configured(line.flags)), null, 2))
    case 'export-tiles':
      return writeTiles(configured(line.flags), line.directory)
    case 'run':
      return run(line.flags)
  }
}

async function run(flags: Flags): Promise<void> {
  const config = configured(flags)
  const log = openLog(config.logLevel)
  const stopped = signalled()
  try {
    const broker = await openBroker(config, log)
    const stopServing = await serveOrClose(config, broker, log)
    log.info(`broker listening on ${config.bind}:${config.port}`)

    await stopped
    log.info('shutdown signal received; draining in-flight requests')
    const drained = await within(
      config.shutdownGraceSeconds * 1000,
      stopServing().then(() => broker.close()),
    )
    log.info(drained ? 'broker shut down cleanly' : 'shutdown grace expired; requests under way were cut off')
    process.exitCode = 0
  } catch (error) {
    log.error({ err: error }, `refusing to start: ${(error as Error).message}`)
    process.exitCode = 1
  }
  log.flush(() => process.exit())
}

/** Beside a running broker or without one: it reads, and shows the checkpoint that was signed last. */
async function writeTiles(config: Config, directory: string): Promise<void> {
  const store = await openStore(config.ledger.store, 'export-tiles')
  try {
    const checkpoint = new CheckpointTrace(tracePath(config), () => undefined).last()
    if (!checkpoint)
      return end(3, `no checkpoint was signed yet: ${tracePath(config)} is missing; start the broker once`)
    const { vkey } = loadOrCreateLedgerKey(config.ledger.keyPath, config.ledger.origin)
    const written = await exportTiles({ store, checkpoint, vkey, directory, onProgress })
    print(`${checkpoint.size} entries, ${written} files written to ${directory}`)
  } catch (error) {
    end(error instanceof LedgerRefused ? 1 : 3, `export-tiles: ${(error as Error).message}`)
  } finally {
    await store.close()
  }
}

function onProgress(entries: number): void {
  if (process.stderr.isTTY && entries % 25_600 === 0) process.stderr.write(`\r${entries} entries`)
}

async function serveOrClose(config: Config, broker: Broker, log: Logger): Promise<() => Promise<void>> {
  try {
    await checkSts(config, broker, log)
    return await serve(config, broker, log)
  } catch (error) {
    await broker.close()
    throw error
  }
}

/** The configuration, its warnings on stderr; all its problems at once, and the end, when there are any. */
function configured(flags: Flags): Config {
  const reading = readConfig(process.env, flags)
  for (const warning of reading.warnings) process.stderr.write(`warning: ${warning}\n`)
  if ('config' in reading) return reading.config
  for (const problem of reading.problems) process.stderr.write(`error: ${problem}\n`)
  process.exit(1)
}

async function checkSts(config: Config, broker: Broker, log: Logger): Promise<void> {
  if (config.skipStartupCheck || config.aws.kind === 'off') return
  try {
    await broker.parts.sts.checkIdentity()
    log.info('startup STS check passed')
  } catch (error) {
    log.error({ err: error }, 'startup STS check failed — refusing to bind')
    throw new Error(
      `${(error as Error).message}; check AWS_PROFILE, the instance profile or the static keys, and the region, ` +
        'or start with --skip-startup-check',
      { cause: error },
    )
  }
}

/** Listens on the broker's address and, for the embedded session backend, on its own. Returns how to stop both. */
async function serve(config: Config, { parts }: Broker, log: Logger): Promise<() => Promise<void>> {
  const app = await createServer(AppModule.of(parts), log, VERSION)
  const listener =
    config.backend.kind === 'embedded' && parts.sessions instanceof EmbeddedSessions
      ? await startSessionListener(parts.sessions, config.backend.bind).catch(
          refuseAddress('BROKER_SESSION_BIND'),
        )
      : undefined
  if (listener) log.info({ url: listener.url }, 'embedded session backend listening')
  await app.listen(config.port, config.bind).catch(refuseAddress('--bind and --port'))
  return async () => {
    await Promise.all([app.close(), listener?.close()])
  }
}

/** Says which setting named the address that cannot be listened on. */
function refuseAddress(setting: string): (error: NodeJS.ErrnoException) => never {
  return (error) => {
    if (error.syscall !== 'listen') throw error
    const remedy = 'stop what listens there, or choose another'
    throw new Error(`${setting}: the address cannot be used (${error.message}): ${remedy}`, { cause: error })
  }
}

function signalled(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
  })
}

async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => (timer = setTimeout(() => resolve(false), ms)))
  const done = await Promise.race([work.then(() => true), late])
  clearTimeout(timer)
  return done
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function end(code: number, message: string): void {
  process.stderr.write(`${message}\n`)
  process.exitCode = code
}

await main()
