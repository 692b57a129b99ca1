import { parseArgs, type ParseArgsConfig } from 'node:util'

import { UsageError } from './usage-error.js'

/** parseArgs with exactly one positional, SOURCE. Throws UsageError. */
export function parseArguments<const T extends NonNullable<ParseArgsConfig['options']>>(
  args: readonly string[],
  options: T,
): {
  values: ReturnType<typeof parseArgs<{ options: T; allowPositionals: true }>>['values']
  source: string
} {
  const { values, positionals } = attempt(() =>
    parseArgs({ args: [...args], options, allowPositionals: true }),
  )
  const [source, extra] = positionals
  if (source === undefined) throw new UsageError('SOURCE is missing')
  if (extra !== undefined) throw new UsageError(`one SOURCE at a time: ${JSON.stringify(extra)} is too many`)
  return { values, source }
}

export function attempt<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message)
    throw error
  }
}
