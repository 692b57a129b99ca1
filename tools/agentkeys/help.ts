// Help, from the table of commands, as wide as the terminal is.

import type { Command, Option, Options } from './command.js'

/** For what is not a terminal: lines are as long as they are. */
const NO_LIMIT = Infinity

type Row = readonly [left: string, right: string]

export function overview(commands: readonly Command[], global: Options, columns = NO_LIMIT): string {
  const rows = commands.map(({ name, usage, summary }): Row => [`${name} ${usage}`.trim(), summary])
  return [
    ...wrapped(
      'agentkeys: short-lived credentials for agents, each recorded in a ledger before it exists',
      columns,
    ),
    '',
    'usage: agentkeys COMMAND [OPTIONS]',
    '',
    ...table(rows, columns),
    '',
    ...everyCommand(global, columns),
    '',
    ...wrapped(
      'agentkeys COMMAND --help says more. Exit: 0 done, 1 refused, 2 wrong usage, 3 not reachable.',
      columns,
    ),
    '',
  ].join('\n')
}

export function commandHelp(command: Command, global: Options, columns = NO_LIMIT): string {
  return [...ownHelp(command, columns), '', ...everyCommand(global, columns), ''].join('\n')
}

/** What docs/commands.md shows: each command with its own options, and once the options of all. */
export function commandsPage(commands: readonly Command[], global: Options): string {
  const sections = commands.flatMap((command) => [
    '',
    `## ${command.name}`,
    '',
    ...fenced(ownHelp(command, NO_LIMIT)),
  ])
  return [
    '# Commands of agentkeys',
    '',
    'For those who look up an option; [clients.md](clients.md) says what to use when. `npm run describe` writes this page',
    'from the table that parsing, `--help` and completion are made of.',
    '',
    ...fenced(everyCommand(global, NO_LIMIT)),
    ...sections,
    '',
  ].join('\n')
}

const fenced = (lines: readonly string[]) => ['```text', ...lines, '```']

function everyCommand(global: Options, columns: number): string[] {
  return ['options of every command:', ...table(optionRows(global), columns)]
}

function ownHelp(command: Command, columns: number): string[] {
  const own = optionRows(command.options)
  return [
    ...wrapped(command.summary, columns),
    '',
    `usage: agentkeys ${command.name} ${command.usage}`.trimEnd(),
    ...(own.length === 0 ? [] : ['', 'options:', ...table(own, columns)]),
  ]
}

function optionRows(options: Options): Row[] {
  return Object.entries(options).map(([name, option]): Row => [flag(name, option), option.help])
}

function flag(name: string, { value, multiple }: Option): string {
  return `--${name}${value === undefined ? '' : ` ${value}`}${multiple ? ' …' : ''}`
}

/** Less than that for the second column, and it goes below the first. */
const NARROWEST = 30

/** Two columns; a first column that is too wide pushes the second to the next line. */
function table(rows: readonly Row[], columns: number): string[] {
  const widest = Math.min(30, Math.max(...rows.map(([left]) => left.length)))
  const narrow = columns - widest - 4 < NARROWEST
  const indent = ' '.repeat(narrow ? 4 : widest + 4)
  return rows.flatMap(([left, right]) => {
    const [first = '', ...rest] = wrapped(right, columns - indent.length)
    const beside = !narrow && left.length <= widest
    const head = beside ? [`  ${left.padEnd(widest)}  ${first}`] : [`  ${left}`, indent + first]
    return [...head, ...rest.map((line) => indent + line)]
  })
}

/** Broken between words; a word that is longer than a line stays whole. */
function wrapped(text: string, columns: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const line = lines.at(-1)
    if (line !== undefined && line.length + 1 + word.length <= columns)
      lines[lines.length - 1] = `${line} ${word}`
    else lines.push(word)
  }
  return lines
}
