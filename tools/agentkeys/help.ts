// Help, from the table of commands.

import type { Command, Option, Options } from './command.js'

export function overview(commands: readonly Command[], global: Options): string {
  const rows = commands.map(({ name, usage, summary }) => [`${name} ${usage}`.trim(), summary] as const)
  return [
    'agentkeys: short-lived credentials for agents, each recorded in a ledger before it exists',
    '',
    'usage: agentkeys COMMAND [OPTIONS]',
    '',
    ...table(rows),
    '',
    'options of every command:',
    ...table(optionRows(global)),
    '',
    'agentkeys COMMAND --help says more. Exit: 0 done, 1 refused, 2 wrong usage, 3 not reachable.',
    '',
  ].join('\n')
}

export function commandHelp(command: Command, global: Options): string {
  const own = optionRows(command.options)
  return [
    command.summary,
    '',
    `usage: agentkeys ${command.name} ${command.usage}`.trimEnd(),
    '',
    ...(own.length === 0 ? [] : ['options:', ...table(own), '']),
    'options of every command:',
    ...table(optionRows(global)),
    '',
  ].join('\n')
}

function optionRows(options: Options): (readonly [string, string])[] {
  return Object.entries(options).map(([name, option]) => [flag(name, option), option.help] as const)
}

function flag(name: string, { value, multiple }: Option): string {
  return `--${name}${value === undefined ? '' : ` ${value}`}${multiple ? ' …' : ''}`
}

/** Two columns; a first column that is too wide pushes the second to the next line. */
function table(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.min(30, Math.max(...rows.map(([left]) => left.length)))
  return rows.flatMap(([left, right]) =>
    left.length > width
      ? [`  ${left}`, `  ${' '.repeat(width)}  ${right}`]
      : [`  ${left.padEnd(width)}  ${right}`],
  )
}
