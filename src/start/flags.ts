// The command line of agentkeys-broker. What to do with it is main's work, and so is exiting.

import { parseArgs } from 'node:util'

import type { Flags } from '../config.js'
import { isHost } from '../config/address.js'
import { CUT_OFF_KINDS, isCutOffTarget, TARGET_FORM } from '../domain/ledger/cut-offs.js'
import type { CutOffTarget } from '../domain/ledger/events.js'
import { printable } from '../config/variables.js'
import {
  isRecovery,
  parseRecoveryLine,
  RECOVERY_USAGE,
  type RecoveryLine,
  WrongRecoveryLine,
} from './recovery-line.js'
import { CLOUD_USAGE, type CloudLine, parseCloudLine, WrongCloudLine } from './cloud-line.js'
import { KEYS_USAGE, type KeysLine, parseKeysLine, WrongKeysLine } from './keys-line.js'
import { parsePolicyLine, POLICY_USAGE, type PolicyLine, WrongPolicyLine } from './policy-line.js'

export type CommandLine =
  | { kind: 'run'; flags: Flags }
  | { kind: 'print-config'; flags: Flags }
  | { kind: 'export-tiles' | 'backup'; flags: Flags; directory: string }
  | { kind: 'init-eventstore'; appPasswordFile: string; auditPasswordFile: string; waitSeconds: number }
  | { kind: 'migrate-ledger'; from: string; to: string }
  | { kind: 'adopt-ledger'; flags: Flags; size: number | undefined; head: string | undefined }
  | { kind: 'session-backend' | 'mail-router' }
  | { kind: 'cut-off' | 'restore'; flags: Flags; target: CutOffTarget; reason: string | undefined }
  | { kind: 'keys'; flags: Flags; line: KeysLine }
  | { kind: 'policy'; flags: Flags; line: PolicyLine }
  | { kind: 'recovery'; flags: Flags; line: RecoveryLine }
  | { kind: 'cloud-setup'; line: CloudLine }
  | { kind: 'help' }
  | { kind: 'version' }
  /** For stderr; exit code 2. */
  | { kind: 'wrong-usage'; message: string }

export const USAGE = `Usage: agentkeys-broker [options]
       agentkeys-broker export-tiles DIR
       agentkeys-broker backup DIR
       ${RECOVERY_USAGE}
       agentkeys-broker init-eventstore --app-password-file FILE --audit-password-file FILE [--wait SECONDS]
       agentkeys-broker migrate-ledger --from STORE --to STORE
       agentkeys-broker adopt-ledger [--expect-size N --expect-head HASH]
       agentkeys-broker session-backend
       agentkeys-broker mail-router
       agentkeys-broker cut-off|restore --wallet W | --session S | --mint M | --role R [--reason TEXT]
       ${KEYS_USAGE}
       ${POLICY_USAGE}
       ${CLOUD_USAGE}

Issues short-lived OIDC tokens and AWS credentials to AI agents, each recorded in the ledger before it exists.

  --port N               port to listen on (default 8091; 0 for any free one)
  --bind HOST            address to listen on (default 127.0.0.1)
  --skip-startup-check   do not ask STS who we are before listening
  --insecure-ledger      start although the EventStoreDB user may delete or truncate the ledger; for trying things out
  --print-config         print the effective configuration, without secrets, as JSON and exit
  --help                 print this
  --version              print the version

  export-tiles DIR       write the ledger's checkpoint, tiles and entry bundles as files for a static host; entries
                         are written in clear, so publish tile/entries only where everyone may read them
  backup DIR             copy the ledger and the sessions into a new folder, and verify the copy against the
                         checkpoint that was signed last; the broker may run
  restore-backup DIR     put a backup in the ledger's place; its first line says which entries would be lost, and without
                         --yes it stops there. The broker must be stopped
  import SOURCE          append the entries that are missing here, from what verify-ledger reads (tiles over http(s) or
                         in a folder, FILE.jsonl, sqlite:PATH), where the ledger's own key signed for all of them
  init-eventstore        give an EventStoreDB the ledger's users and rights, as the administrator of the URL in
                         BROKER_LEDGER_ADMIN_URL; run again it sets the passwords only; --wait for a database that
                         has no leader or no administrator yet
  migrate-ledger         copy a ledger, byte for byte; STORE is sqlite:PATH, or env:NAME for a variable with an
                         esdb:// URL. No broker may run meanwhile; what was cut off goes on when run again
  adopt-ledger           say which entries no holder of the ledger key signed; with size and head, as verify-ledger
                         prints them, take them over. Needed once for a ledger from before appends were signed
  session-backend        run the session backend on its own, at BROKER_SESSION_BIND (default 127.0.0.1:8090), for
                         brokers that name it in BROKER_BACKEND_URL; its data dir is not a broker's
  mail-router            take mail out of inbound/ in BROKER_DATA_BUCKET to the wallets whose inboxes it was received
                         for, with an AWS role of its own; several may run
  cut-off                from now on, no broker of the ledger mints for this wallet, session (sha256:…, the audit's
                         token_sha256), mint or role, nor hands out what is under way; restore undoes it. Asks the
                         broker at --bind and --port with the operator's token; prints the policy that ends AWS sessions
  cloud-setup            --print: what the broker needs at AWS, as a script or a template; --check: whether the policies
                         that are there hold, from the JSON file that the script writes; calls no cloud itself
  keys                   the keys that sign tokens, of which the next one is published a day before it signs. Asks the
                         broker at --bind and --port, as cut-off does; docs/keys.md says when to use which
  policy                 schema: what a policy may speak of; default: what the settings allow, as a policy; check: whether
                         a folder (BROKER_POLICY) can be loaded; test: expectations in a JSON file; explain: one
                         decision; replay: which mints of the ledger a policy would have refused

The rest is set by environment variables, all in docs/configuration.md. The ones most used:

  BROKER_OIDC_ISSUER     https URL under which clouds reach this broker (default http://127.0.0.1:PORT)
  BROKER_BACKEND_URL     session backend to ask (default: the embedded one, on BROKER_SESSION_BIND)
  BROKER_DATA_ROLE_ARN   AWS role that callers get; ACCOUNT_ID alone means its agentkeys-data-role
  BROKER_AWS_REGION      region of the STS to call (default us-east-1)
  BROKER_STS_MODE        web-identity (default) or assume-role (default with AWS keys and a loopback issuer)
  BROKER_DATA_DIR        where keys and databases live (default $HOME/.agentkeys/broker)
  BROKER_LEDGER_URL      sqlite:PATH (default, in the data dir) or esdb://USER:PASSWORD@HOST:PORT
  BROKER_LOG             trace, debug, info (default), warn, error or off

Exit codes: 0 done, or stopped as asked; 1 refused, by the broker or by the ledger's store; 2 wrong usage;
3 (subcommands) could not reach or read something.`

const SHORT_USAGE =
  'Usage: agentkeys-broker [--port N] [--bind HOST] [--skip-startup-check] [--insecure-ledger] [--print-config] [--help] [--version]'

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
    if (positionals[0] === 'keys')
      return { kind: 'keys', flags, line: parseKeysLine(positionals.slice(1), values) }
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
          'adopt-ledger, backup, cloud-setup, cut-off, export-tiles, import, init-eventstore, keys, mail-router, ' +
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
  ...(['wallet', 'session', 'mint', 'role', 'reason', 'emergency', 'json'] as const),
]

function assertNoSubcommandFlags(values: Values): void {
  for (const name of SUBCOMMAND_FLAGS)
    if (values[name] !== undefined) throw new WrongFlag(`--${name} belongs to a subcommand`)
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

const WRONG_LINES = [WrongFlag, WrongKeysLine, WrongPolicyLine, WrongRecoveryLine, WrongCloudLine]

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
