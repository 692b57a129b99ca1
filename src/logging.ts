import { type LoggerService } from '@nestjs/common'
import { type DestinationStream, type Level, type Logger, pino } from 'pino'

import { LogSink } from './log-sink.js'

/** Members that never reach a log line, in case code logs them by mistake. */
const REDACTED: ReadonlySet<string> = new Set([
  'authorization',
  'bearer',
  'token',
  'jwt',
  'secretAccessKey',
  'sessionToken',
  'secret',
  'password',
])

/** Deeper than anything that is logged; a cycle ends here too. */
const MAX_DEPTH = 4

/** The process has one standard error. Not pino's own stream: it throws where it cannot write, and waits at the exit. */
export const stderrLog = new LogSink(2)

/** Structured lines on stderr, one JSON object each, as the original's logs went to stderr. */
export function openLog(level: Level | 'silent', stream: DestinationStream = stderrLog): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      // Not pino's own redaction: with these names at three depths it copied every line over and over, an eighth of
      // what the main thread did for a mint.
      formatters: { level: (label) => ({ level: label }), log: (line) => redacted(line, MAX_DEPTH) },
      serializers: { err: safeError },
    },
    stream,
  )
}

/** The same object where nothing in it is to be hidden, as nearly always. */
function redacted(members: Record<string, unknown>, depth: number): Record<string, unknown> {
  let copy: Record<string, unknown> | undefined
  for (const name in members) {
    const value = members[name]
    const shown = REDACTED.has(name) ? '[redacted]' : shownValue(value, depth)
    if (shown !== value) copy = { ...(copy ?? members), [name]: shown }
  }
  return copy ?? members
}

function shownValue(value: unknown, depth: number): unknown {
  // safeError decides what of an error is shown.
  if (typeof value !== 'object' || value === null || value instanceof Error) return value
  if (depth === 0) return '[too deep]'
  if (Array.isArray(value)) return value.map((item) => shownValue(item, depth - 1))
  return redacted(value as Record<string, unknown>, depth - 1)
}

/** Name, message and stack: never an error's other members, which in HTTP clients hold whole requests. */
function safeError(error: unknown): unknown {
  if (!(error instanceof Error)) return { type: typeof error }
  const { name, message, stack, cause } = error
  return { type: name, message, stack, ...(cause === undefined ? {} : { cause: safeError(cause) }) }
}

/** Nest's own few words, in our log. */
export class NestLog implements LoggerService {
  constructor(private readonly logger: Logger) {}
  log(message: unknown): void {
    this.logger.debug(String(message))
  }
  error(message: unknown): void {
    this.logger.error(message instanceof Error ? { err: message } : {}, String(message))
  }
  warn(message: unknown): void {
    this.logger.warn(String(message))
  }
}
