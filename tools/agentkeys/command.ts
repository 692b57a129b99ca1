// What a command is: one row of the table gives its parsing, its help, its completion and its docs.

import type { ParseArgsConfig } from 'node:util'

/** 0 done · 1 the answer is no · 2 wrong usage · 3 something could not be reached or read. */
export type ExitCode = 0 | 1 | 2 | 3

export interface Option {
  type: 'string' | 'boolean'
  /** May be given more than once. */
  multiple?: true
  /** What the value is, in help: `--role ARN`. */
  value?: string
  help: string
}

export type Options = Readonly<Record<string, Option>>

/** Values by option name: text, texts or true; absent where it was not given. */
export type Values = Readonly<Record<string, string | boolean | readonly string[] | undefined>>

export interface Call {
  values: Values
  /** What stands before `--`. */
  args: readonly string[]
  /** What stands after `--`. */
  rest: readonly string[]
  /** The whole table, for what is made from it. */
  commands: readonly Command[]
}

export interface Command {
  name: string
  /** Positional arguments, as help shows them: `SERVICE`, `[WALLET]`, `-- CMD…`. */
  usage: string
  summary: string
  /** Exactly how many positional arguments, at least and at most. */
  args: readonly [least: number, most: number]
  /** Takes a command after `--`. */
  takesRest?: true
  options: Options
  run: () => Promise<{ run: (call: Call) => Promise<number> }>
}

/** Wrong usage: exit 2. The message names the argument. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UsageError'
  }
}

/** The options of parseArgs that a command has. */
export function parseOptions(options: Options): NonNullable<ParseArgsConfig['options']> {
  return Object.fromEntries(
    Object.entries(options).map(([name, { type, multiple }]) => [
      name,
      { type, ...(multiple ? { multiple } : {}) },
    ]),
  )
}
