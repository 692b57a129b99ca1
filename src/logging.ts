import { type LoggerService } from '@nestjs/common'
import { destination, type Level, type Logger, pino } from 'pino'

/** Members that never reach a log line, whoever logs them. Nothing here should ever be asked to log them at all. */
const REDACTED = [
  'authorization',
  'bearer',
  'token',
  'jwt',
  'secretAccessKey',
  'sessionToken',
  'secret',
  'password',
]

/** Structured lines on stderr, one JSON object each, as the original's logs went to stderr. */
export function openLog(level: Level | 'silent'): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: REDACTED.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[redacted]' },
      serializers: { err: safeError },
    },
    // Lines are gathered while the event loop is busy; main.ts flushes them before it exits.
    destination({ fd: 2, sync: false, minLength: 0 }),
  )
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
