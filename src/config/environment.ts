// Reading variables so that every problem is found before the first is reported.

import { resolve } from 'node:path'

import { printable, SECRET_VARIABLES, type Variable } from './variables.js'

export type Variables = Readonly<Record<string, string | undefined>>

/** Why a value will not do: what was expected and, where unsetting it is no way out, what to do. Never the value itself. */
export class InvalidSettingError extends Error {
  constructor(
    readonly expected: string,
    readonly remedy?: string,
  ) {
    super(`expected ${expected}`)
    this.name = 'InvalidSettingError'
  }
}

/** The value that `text` stands for. Throws InvalidSettingError. */
export type Parse<T> = (text: string) => T

/** Whatever is wrong goes to `problems`, one line each, and reading goes on with the fallback; the result is then not used. */
export class Environment {
  readonly problems: string[] = []
  readonly warnings: string[] = []

  constructor(private readonly variables: Variables) {}

  has(name: Variable): boolean {
    return this.variables[name] !== undefined
  }

  /** The first of `names` that is set, empty or not. */
  firstSet(names: readonly Variable[]): Variable | undefined {
    return names.find((name) => this.has(name))
  }

  /** The first of `names` that is set to something: for the variables whose empty value has always meant "not set". */
  firstFilled(names: readonly Variable[]): Variable | undefined {
    return names.find((name) => this.variables[name])
  }

  /** What `name` says, or `fallback` if it is not set. A malformed value is a problem, never the fallback. */
  read<T>(name: Variable, parse: Parse<T>, fallback: T): T {
    const text = this.variables[name]
    if (text === undefined) return fallback
    try {
      return parse(text)
    } catch (error) {
      if (!(error instanceof InvalidSettingError)) throw error
      const remedy = error.remedy ?? unsetting(fallback)
      this.problems.push(`${name}${shown(name, text)}: expected ${error.expected}; ${remedy}`)
      return fallback
    }
  }
}

function unsetting(fallback: unknown): string {
  const hasName = typeof fallback === 'string' || typeof fallback === 'number'
  return hasName ? `correct it, or unset it for ${fallback}` : 'correct it, or unset it'
}

/**
 * The value as an operator may see it. Whatever may hold a password or a token is left out: the secret variables, all
 * that has an @, behind which a URL keeps its host, a ledger's URL even where its @ was forgotten, and a query.
 */
function shown(name: string, text: string): string {
  if (SECRET_VARIABLES.includes(name)) return ' (value not shown)'
  if (/@|^\s*esdb/i.test(text)) return ' (value not shown, it may hold a password)'
  return `="${printable(text.replace(/\?.*/s, '?…'))}"`
}

export function wholeNumber(min: number, max: number, unit: string): Parse<number> {
  return (text) => {
    const value = /^[0-9]+$/.test(text) ? Number(text) : NaN
    if (!(value >= min && value <= max))
      throw new InvalidSettingError(`a whole number of ${unit}, ${min} to ${max}`)
    return value
  }
}

export function matching(pattern: RegExp, expected: string): Parse<string> {
  return (text) => {
    if (!pattern.test(text)) throw new InvalidSettingError(expected)
    return text
  }
}

export function oneOf<T extends string>(...words: readonly T[]): Parse<T> {
  return (text) => {
    const word = words.find((word) => word === text)
    if (word === undefined) throw new InvalidSettingError(words.join(' or '))
    return word
  }
}

/** Comma-separated; an empty list is a list. Items are compared as whole strings later, so nothing in them is a wildcard. */
export function listOf(pattern: RegExp, what: string): Parse<readonly string[]> {
  return (text) => {
    if (text.trim() === '') return []
    const items = text.split(',').map((item) => item.trim())
    const bad = items.flatMap((item, i) => (pattern.test(item) ? [] : [i + 1]))
    if (bad.length > 0)
      throw new InvalidSettingError(`a comma-separated list of ${what}`, `correct item ${bad.join(' and ')}`)
    return [...new Set(items)]
  }
}

/** Made absolute against the folder the broker was started in. */
export const path: Parse<string> = (text) => {
  if (text === '' || text.includes('\0')) throw new InvalidSettingError('a path')
  // Only a shell expands ~. In a unit file or a container it would make a folder of that name.
  if (text.startsWith('~'))
    throw new InvalidSettingError('a path without ~, which is not expanded here', 'write the whole path')
  return resolve(text)
}
