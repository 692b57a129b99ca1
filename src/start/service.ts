// The life of a process that serves: start or refuse, run until a signal, end in order.

import type { Logger } from 'pino'

import type { LogLevel } from '../config/log-level.js'
import { deadline } from '../deadline.js'
import { openLog, stderrLog } from '../logging.js'
import { terminalLog } from '../terminal-log.js'

export interface Service {
  /** Where it listens. */
  address: string
  /** Takes nothing new, finishes what is under way, and lets go of everything. */
  close(): Promise<void>
  /** What SIGHUP asks for. Never rejects. */
  reload?: () => Promise<void>
}

interface ServiceConfig {
  readonly logLevel: LogLevel
  readonly shutdownGraceSeconds: number
}

/** How long the end waits for a log that is slow to take its last lines. */
const LOG_DRAINED_WITHIN_MS = 1_000

/** Ends the process when the service has stopped, or has refused to start; its log says which, and so does the exit code. */
export async function runService(
  name: string,
  { logLevel, shutdownGraceSeconds }: ServiceConfig,
  open: (log: Logger) => Promise<Service>,
): Promise<void> {
  const log = openLog(logLevel, process.stderr.isTTY ? terminalLog(stderrLog, hasColour()) : stderrLog)
  // Makes a pipe on standard error non-blocking: a write that its reader never takes would hold up the exit.
  process.stderr.on('error', () => undefined)
  ignoreSignals(log)
  const running: { service?: Service } = {}
  process.on('SIGHUP', () => {
    if (running.service?.reload) void running.service.reload()
    else ignored(log, 'SIGHUP')
  })
  const stopped = signalled()
  try {
    const service = (running.service = await open(log))
    log.info(`${name} listening on ${service.address}`)

    await stopped
    log.info('shutdown signal received; draining in-flight requests')
    const drained = await within(shutdownGraceSeconds * 1000, service.close())
    log.info(
      drained ? `${name} shut down cleanly` : 'shutdown grace expired; requests under way were cut off',
    )
    process.exitCode = 0
  } catch (error) {
    // Where a refusal was decided is of no use to its reader; where a defect is, is all that helps.
    log.error(isDefect(error) ? { err: error } : {}, `refusing to start: ${(error as Error).message}`)
    log.debug({ err: error }, 'the refusal, in full')
    process.exitCode = 1
  }
  await stderrLog.drained(LOG_DRAINED_WITHIN_MS)
  process.exit()
}

function isDefect(error: unknown): boolean {
  return (
    !(error instanceof Error) ||
    [TypeError, RangeError, ReferenceError, SyntaxError].some((kind) => error instanceof kind)
  )
}

function hasColour(): boolean {
  return process.env['NO_COLOR'] === undefined && process.env['TERM'] !== 'dumb'
}

/** Says which setting named the address that cannot be listened on. */
export function refuseAddress(setting: string): (error: NodeJS.ErrnoException) => never {
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
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) process.on(signal, () => ignored(log, signal))
}

function ignored(log: Logger, signal: NodeJS.Signals): void {
  log.warn({ signal }, 'signal ignored: settings are read at a start only')
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
