// Open, listen, and end in order.

import type { Logger } from 'pino'

import { deadline } from '../deadline.js'
import { AppModule } from '../app.module.js'
import { type Broker, openBroker } from './broker.js'
import type { Config } from '../config.js'
import { createServer } from '../http/server.js'
import { startSessionListener } from '../http/session-listener.js'
import { openLog, stderrLog } from '../logging.js'
import { EmbeddedSessions } from '../session/embedded-sessions.js'
import { VERSION } from '../version.js'

// Node 20 is supported here; the SDK's advice to leave it is no line of this broker's log.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true'

/** How long the end waits for a log that is slow to take its last lines. */
const LOG_DRAINED_WITHIN_MS = 1_000

/** Resolves when the broker has stopped, or has refused to start; its log says which, and so does the exit code. */
export async function run(config: Config): Promise<void> {
  const log = openLog(config.logLevel)
  // Makes a pipe on standard error non-blocking: a write that its reader never takes would hold up the exit.
  process.stderr.on('error', () => undefined)
  ignoreSignals(log)
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
  await stderrLog.drained(LOG_DRAINED_WITHIN_MS)
  process.exit()
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
      ? await startSessionListener(parts.sessions, config.backend.bind, config.clients, log).catch(
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

/**
 * Any handler replaces the signal's effect: SIGUSR1 would open Node's debugger, a way to every key of the process for
 * all who may connect to this machine's loopback; the others would end the broker without draining it.
 */
function ignoreSignals(log: Logger): void {
  for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) {
    process.on(signal, () => log.warn({ signal }, 'signal ignored: settings are read at a start only'))
  }
}

/** Whether `work` ended within `ms`. */
async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  const late = new Error(`not done within ${ms} ms`)
  try {
    await deadline(ms, work, () => late)
    return true
  } catch (error) {
    if (error === late) return false
    throw error
  }
}
