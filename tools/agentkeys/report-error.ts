// What a failure looks like: one line and a remedy on stderr, and an exit code. No stack trace, no secret.

import { ClientError, type ClientErrorCode } from '../client/errors.js'

import { type ExitCode, UsageError } from './command.js'

/** A failure of the CLI itself, with what to do. `exit` 1: the answer is no. 3: something cannot be reached or read. */
export class CliError extends Error {
  constructor(
    message: string,
    readonly remedy: string,
    readonly exit: 1 | 3 = 3,
    options: ErrorOptions = {},
  ) {
    super(message, options)
    this.name = 'CliError'
  }
}

const NOT_REACHED: ReadonlySet<ClientErrorCode> = new Set<ClientErrorCode>([
  'unreachable',
  'timeout',
  'malformed_reply',
  'backend_unreachable',
  'ledger_unavailable',
  'internal',
])

export function report(error: unknown, json: boolean): ExitCode {
  const { exit, code, message, remedy } = describe(error)
  const lines = json
    ? [JSON.stringify({ error: { code, message, remedy } })]
    : [`agentkeys: ${message}`, ...(remedy === undefined ? [] : [`  ${remedy}`])]
  process.stderr.write(`${lines.join('\n')}\n`)
  return exit
}

interface Described {
  exit: ExitCode
  code: string
  message: string
  remedy: string | undefined
}

function describe(error: unknown): Described {
  if (error instanceof UsageError)
    return { exit: 2, code: 'usage', message: error.message, remedy: undefined }
  if (error instanceof CliError)
    return { exit: error.exit, code: 'failed', message: error.message, remedy: error.remedy }
  if (error instanceof ClientError) {
    if (error.code === 'invalid_url')
      return { exit: 2, code: error.code, message: error.message, remedy: error.remedy }
    const { code, message, remedy, requestId } = error
    const named = requestId === undefined ? message : `${message} (request ${requestId})`
    return { exit: NOT_REACHED.has(code) ? 3 : 1, code, message: named, remedy }
  }
  const { code, message } = error as NodeJS.ErrnoException
  return { exit: 3, code: code ?? 'internal', message, remedy: undefined }
}
