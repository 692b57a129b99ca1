// The command line of agentkeys-broker. What to do with it is main's work, and so is exiting.

import { parseArgs } from 'node:util'

import type { Flags } from '../config.js'
import { isHost } from '../config/address.js'
import { CUT_OFF_KINDS, isCutOffTarget, TARGET_FORM } from '../domain/ledger/cut-offs.js'
import type { CutOffTarget } from '../domain/ledger/events.js'
import { printable } from '../config/variables.js'
import { isRecovery, parseRecoveryLine, type RecoveryLine, WrongRecoveryLine } from './recovery-line.js'
import { type ApprovalsLine, parseApprovalsLine, WrongApprovalsLine } from './approvals-line.js'
import { type CloudLine, parseCloudLine, WrongCloudLine } from './cloud-line.js'
import { type KeysLine, parseKeysLine, WrongKeysLine } from './keys-line.js'
import { parsePolicyLine, type PolicyLine, WrongPolicyLine } from './policy-line.js'
import { SHORT_USAGE } from './usage.js'

export type CommandLine =
  | { kind: 'run'; flags: Flags }
  | { kind: 'print-config'; flags: Flags }
  | { kind: 'export-tiles' | 'backup'; flags: Flags; directory: string }
  | { kind: 'init-eventstore'; appPasswordFile: string; auditPasswordFile: string; waitSeconds: number }
  | { kind: 'migrate-ledger'; from: string; to: string }
  | { kind: 'adopt-ledger'; flags: Flags; size: number | undefined; head: string | undefined }
  | { kind: 'session-backend' | 'mail-router' }
  | { kind: 'cut-off' | 'restore'; flags: Flags; target: CutOffTarget; reason: string | undefined }
  | { kind: 'approvals'; flags: Flags; line: ApprovalsLine }
  | { kind: 'keys'; flags: Flags; line: KeysLine }
  | { kind: 'policy'; flags: Flags; line: PolicyLine }
  | { kind: 'recovery'; flags: Flags; line: RecoveryLine }
  | { kind: 'cloud-setup'; line: CloudLine }
  | { kind: 'help' }
  | { kind: 'version' }
  /** For stderr; exit code 2. */
  | { kind: 'wrong-usage'; message: string }

const PROGRAM = 'agentkeys-broker: '

export const DEFAULT_FLAGS: Flags = {
  port: 8091,
  bind: '127.0.0.1',
  skipStartupCheck: false,
  insecureLedger: false,
}

export function parseFlags(args: readonly string[]): CommandLine {
  try {
    if (args[0] === 'policy' && !args.includes('--help'))
      return { kind: 'policy', flags: DEFAULT_FLAGS, line: parsePolicyLine(args.slice(1)) }
    if (args[0] === 'cloud-setup' && !args.includes('--help'))
      return { kind: 'cloud-setup', line: parseCloudLine(args.slice(1)) }
    if (isRecovery(args[0]) && !args.includes('--help'))
      return { kind: 'recovery', flags: DEFAULT_FLAGS, line: parseRecoveryLine(args) }
    const { values, positionals } = parseValues(args)
    if (values.help) return { kind: 'help' }
    if (values.version) return { kind: 'version' }
    const flags = parseRunFlags(values)
    if (positionals[0] === 'approvals') {
      assertNoSubcommandFlags(values, ['all', 'json', 'reason'])
      return { kind: 'approvals', flags, line: parseApprovalsLine(positionals.slice(1), values) }
    }
    if (positionals[0] === 'keys') {
      assertNoSubcommandFlags(values, ['emergency', 'json', 'reason'])
      return { kind: 'keys', flags, line: parseKeysLine(positionals.slice(1), values) }
    }
    if (positionals.length > 0) return subcommand(positionals, values, flags)
    assertNoSubcommandFlags(values)
    return { kind: values['print-config'] ? 'print-config' : 'run', flags }
  } catch (error) {
    const reason = whyWrong(error)
    if (reason === undefined) throw error
    return { kind: 'wrong-usage', message: `${PROGRAM}${reason}\n${SHORT_USAGE}` }
  }
}

function parseValues(args: readonly string[]) {
  const options = {
    port: { type: 'string' },
    bind: { type: 'string' },
    'skip-startup-check': { type: 'boolean', default: false },
    'insecure-ledger': { type: 'boolean', default: false },
    'print-config': { type: 'boolean', default: false },
    'app-password-file': { type: 'string' },
    'audit-password-file': { type: 'string' },
    wait: { type: 'string' },
    from: { type: 'string' },
    to: { type: 'string' },
    'expect-size': { type: 'string' },
    'expect-head': { type: 'string' },
    wallet: { type: 'string' },
    session: { type: 'string' },
    mint: { type: 'string' },
    role: { type: 'string' },
    reason: { type: 'string' },
    all: { type: 'boolean' },
    emergency: { type: 'boolean' },
    json: { type: 'boolean' },
    help: { type: 'boolean', default: false },
    version: { type: 'boolean', default: false },
  } as const
  return parseArgs({ args: [...args], options, allowPositionals: true })
}

class WrongFlag extends Error {}

type Values = ReturnType<typeof parseValues>['values']

/** Stray arguments are not repeated: one may be a pasted secret. */
function subcommand([command, ...rest]: string[], values: Values, flags: Flags): CommandLine {
  const { from, to, 'app-password-file': appPasswordFile, 'audit-password-file': auditPasswordFile } = values
  switch (command) {
    case 'export-tiles':
    case 'backup': {
      const [directory, ...more] = rest
      if (directory === undefined || more.length > 0) throw new WrongFlag(`${command} takes one directory`)
      assertNoSubcommandFlags(values)
      return { kind: command, flags, directory }
    }
    case 'init-eventstore':
      if (!appPasswordFile || !auditPasswordFile || rest.length > 0)
        throw new WrongFlag('init-eventstore takes --app-password-file FILE and --audit-password-file FILE')
      return { kind: command, appPasswordFile, auditPasswordFile, waitSeconds: parseWait(values.wait ?? '0') }
    case 'migrate-ledger':
      if (!from || !to || rest.length > 0)
        throw new WrongFlag('migrate-ledger takes --from STORE and --to STORE')
      return { kind: command, from, to }
    case 'adopt-ledger':
      if (rest.length > 0) throw new WrongFlag('adopt-ledger takes --expect-size N and --expect-head HASH')
      return { kind: command, flags, ...parseExpected(values['expect-size'], values['expect-head']) }
    case 'session-backend':
    case 'mail-router':
      if (rest.length > 0 || values.port !== undefined || values.bind !== undefined)
        throw new WrongFlag(`${command} takes no flags: ${FLAGLESS[command]}`)
      assertNoSubcommandFlags(values)
      return { kind: command }
    case 'cut-off':
    case 'restore':
      if (rest.length > 0)
        throw new WrongFlag(`${command} takes one of --wallet, --session, --mint and --role`)
      return { kind: command, flags, target: parseTarget(command, values), reason: values.reason }
    default:
      throw new WrongFlag(
        'takes flags only, or a subcommand: ' +
          'adopt-ledger, approvals, backup, cloud-setup, cut-off, export-tiles, import, init-eventstore, keys, mail-router, ' +
          'migrate-ledger, policy, restore, restore-backup, session-backend',
      )
  }
}

const FLAGLESS = {
  'session-backend': 'BROKER_SESSION_BIND says where it listens',
  'mail-router': 'BROKER_DATA_BUCKET names the bucket',
}

const SUBCOMMAND_FLAGS = [
  ...(['app-password-file', 'audit-password-file', 'wait', 'from', 'to'] as const),
  ...(['expect-size', 'expect-head'] as const),
  ...(['wallet', 'session', 'mint', 'role', 'reason', 'emergency', 'json', 'all'] as const),
]

function assertNoSubcommandFlags(values: Values, but: readonly string[] = []): void {
  for (const name of SUBCOMMAND_FLAGS)
    if (values[name] !== undefined && !but.includes(name))
      throw new WrongFlag(`--${name} belongs to a${but.length > 0 ? 'nother' : ''} subcommand`)
}

/** Throws one WrongFlag for all that is wrong. */
function parseRunFlags(values: Values): Flags {
  const problems: string[] = []
  const attempt = <T>(parse: () => T): T | undefined => {
    try {
      return parse()
    } catch (error) {
      if (!(error instanceof WrongFlag)) throw error
      problems.push(error.message)
      return undefined
    }
  }
  const port = attempt(() => parsePort(values.port ?? String(DEFAULT_FLAGS.port)))
  const bind = attempt(() => parseBind(values.bind ?? DEFAULT_FLAGS.bind))
  if (port === undefined || bind === undefined) throw new WrongFlag(problems.join(`\n${PROGRAM}`))
  return {
    port,
    bind,
    skipStartupCheck: values['skip-startup-check'],
    insecureLedger: values['insecure-ledger'],
  }
}

function parsePort(text: string): number {
  if (/^[0-9]{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw new WrongFlag(`--port "${printable(text)}": expected a number, 0 to 65535`)
}

function parseWait(text: string): number {
  if (/^[0-9]{1,4}$/.test(text)) return Number(text)
  throw new WrongFlag(`--wait "${printable(text)}": expected a number of seconds, 0 to 9999`)
}

function parseExpected(
  size: string | undefined,
  head: string | undefined,
): { size: number | undefined; head: string | undefined } {
  if (size === undefined && head === undefined) return { size, head }
  if (!/^[0-9]{1,15}$/.test(size ?? '') || !/^[0-9a-f]{64}$/.test(head ?? ''))
    throw new WrongFlag(
      '--expect-size N and --expect-head HASH belong together: 64 hex digits, as verify-ledger prints them',
    )
  return { size: Number(size), head }
}

/** What is in the wrong form is not repeated: it may be a bearer. */
function parseTarget(command: string, values: Values): CutOffTarget {
  const given = CUT_OFF_KINDS.filter((kind) => values[kind] !== undefined)
  const [kind] = given
  if (kind === undefined || given.length > 1)
    throw new WrongFlag(`${command} takes exactly one of --wallet, --session, --mint and --role`)
  const text = values[kind] ?? ''
  const target = kind === 'role' ? text : text.toLowerCase()
  if (!isCutOffTarget({ kind, target })) throw new WrongFlag(`--${kind}: expected ${TARGET_FORM[kind]}`)
  return { kind, target }
}

function parseBind(text: string): string {
  if (isHost(text)) return text
  throw new WrongFlag(
    `--bind "${printable(text)}": expected an IP address (IPv6 without brackets), localhost or a host name, without port`,
  )
}

const WRONG_LINES = [
  WrongFlag,
  WrongApprovalsLine,
  WrongKeysLine,
  WrongPolicyLine,
  WrongRecoveryLine,
  WrongCloudLine,
]

/** Undefined for an error that is not about the arguments. */
function whyWrong(error: unknown): string | undefined {
  if (WRONG_LINES.some((wrong) => error instanceof wrong)) return (error as Error).message
  if (!isArgumentError(error)) return undefined
  return printable(error.message.replace(/(?:\.\s|\n)[^]*/, ''))
}

function isArgumentError(error: unknown): error is { code: string; message: string } {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' && code.startsWith('ERR_PARSE_ARGS_')
}
