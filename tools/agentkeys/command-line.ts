// From the arguments to a command, and from its outcome to an exit code.

import { parseArgs } from 'node:util'

import { type Call, type Command, type ExitCode, type Options, parseOptions, UsageError } from './command.js'

/** Options that every command takes. A flag beats its variable. */
export const GLOBAL: Options = {
  'broker-url': { type: 'string', value: 'URL', help: 'the broker ($AGENTKEYS_BROKER_URL)' },
  backend: {
    type: 'string',
    value: 'URL',
    help: 'the session backend ($AGENTKEYS_BACKEND_URL); default: what the broker names',
  },
  'session-id': {
    type: 'string',
    value: 'ID',
    help: 'which stored session ($AGENTKEYS_SESSION_ID); default: master',
  },
  session: {
    type: 'string',
    value: 'TOKEN',
    help: 'a session bearer; prefer $AGENTKEYS_SESSION, which others cannot see',
  },
  receipts: {
    type: 'string',
    value: 'MODE',
    help: 'require, warn or off; default: require once a ledger key is pinned',
  },
  json: { type: 'boolean', help: 'print JSON' },
  verbose: { type: 'boolean', help: 'say more on stderr' },
  help: { type: 'boolean', help: 'this text' },
  version: { type: 'boolean', help: 'the version' },
}

export async function commandLine(argv: readonly string[], commands: readonly Command[]): Promise<number> {
  const { before, rest, separated } = split(argv)
  const name = firstPositional(before)
  const command = commands.find((one) => one.name === name)
  try {
    if (!command) return await withoutCommand(before, name, commands)
    if (wants(before, 'help')) return await printHelp(commands, command)
    const { run } = await command.run()
    return await run({ ...parse(command, before, separated ? rest : undefined), commands })
  } catch (error) {
    const { report } = await import('./report-error.js')
    return report(error, wants(before, 'json'))
  }
}

function split(argv: readonly string[]) {
  const at = argv.indexOf('--')
  if (at < 0) return { before: [...argv], rest: [], separated: false }
  return { before: argv.slice(0, at), rest: argv.slice(at + 1), separated: true }
}

/** The command's name may stand behind global options and their values. */
function firstPositional(args: readonly string[]): string | undefined {
  const { positionals } = parseArgs({
    args: [...args],
    options: parseOptions(GLOBAL),
    strict: false,
    allowPositionals: true,
  })
  return positionals[0]
}

function wants(args: readonly string[], option: 'help' | 'version' | 'json'): boolean {
  return args.includes(`--${option}`) || (option === 'help' && args.includes('-h'))
}

async function withoutCommand(
  args: readonly string[],
  name: string | undefined,
  commands: readonly Command[],
): Promise<ExitCode> {
  if (wants(args, 'version')) {
    const { VERSION } = await import('../../src/version.js')
    process.stdout.write(`${VERSION}\n`)
    return 0
  }
  if (name === undefined && wants(args, 'help')) return printHelp(commands, undefined)
  if (name === undefined) throw new UsageError('no command given: agentkeys --help lists them')
  const { closest } = await import('./closest.js')
  const meant = closest(
    name,
    commands.map((one) => one.name),
  )
  throw new UsageError(
    `there is no command ${JSON.stringify(name)}${meant === undefined ? '' : `: did you mean ${meant}?`}`,
  )
}

async function printHelp(commands: readonly Command[], command: Command | undefined): Promise<ExitCode> {
  const { commandHelp, overview } = await import('./help.js')
  // The terminal's width; undefined where it is none.
  const { columns } = process.stdout
  process.stdout.write(command ? commandHelp(command, GLOBAL, columns) : overview(commands, GLOBAL, columns))
  return 0
}

function parse(
  command: Command,
  before: readonly string[],
  rest: readonly string[] | undefined,
): Omit<Call, 'commands'> {
  const { values, positionals } = attempt(() =>
    parseArgs({
      args: [...before],
      options: parseOptions({ ...GLOBAL, ...command.options }),
      allowPositionals: true,
    }),
  )
  const args = positionals.slice(1)
  const [least, most] = command.args
  const form = `agentkeys ${command.name} ${command.usage}`
  if (args.length < least) throw new UsageError(`an argument is missing: ${form}`)
  if (args.length > most) throw new UsageError(`unexpected argument ${JSON.stringify(args[most])}: ${form}`)
  if (command.takesRest && (rest === undefined || rest.length === 0))
    throw new UsageError(`the command to run is missing: ${form}`)
  if (!command.takesRest && rest !== undefined) throw new UsageError(`-- is not expected here: ${form}`)
  return { values: values as Call['values'], args, rest: rest ?? [] }
}

/** parseArgs names the option in its message; for a value that is missing it adds advice that is of no use here. */
function attempt<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code?.startsWith('ERR_PARSE_ARGS')) throw new UsageError(message.split('. ')[0] ?? message)
    throw error
  }
}
