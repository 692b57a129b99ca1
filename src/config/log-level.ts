// How much to log. BROKER_LOG is ours; RUST_LOG is what scripts written for the original broker set.

import { type Environment, oneOf, type Parse, InvalidSettingError } from './environment.js'

/** As pino names them. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'

const WORDS = ['trace', 'debug', 'info', 'warn', 'error', 'off'] as const
type Word = (typeof WORDS)[number]

export function readLogLevel(env: Environment): LogLevel {
  if (env.has('BROKER_LOG')) return inPino(env.read<Word>('BROKER_LOG', oneOf<Word>(...WORDS), 'info'))
  const name = env.firstFilled(['RUST_LOG'])
  if (name === undefined) return 'info'
  const { word, exact } = env.read<Filter>(name, parseFilter, { word: 'info', exact: true })
  if (!exact) {
    env.warnings.push(
      `RUST_LOG holds a filter by target, which has no meaning here: "${word}" is taken from it; set BROKER_LOG to one level`,
    )
  }
  return inPino(word)
}

interface Filter {
  word: Word
  /** Nothing else stands in it. */
  exact: boolean
}

/** A list of `level`, `target` and `target=level`. Its first plain level counts; without one, the first level of a target. */
const parseFilter: Parse<Filter> = (text) => {
  const directives = text.toLowerCase().split(',')
  const level = (word: string | undefined): Word | undefined => WORDS.find((known) => known === word?.trim())
  const plain = directives.map(level).find((word) => word !== undefined)
  const targeted = directives.map((directive) => level(/=([^=]*)$/.exec(directive)?.[1]))
  const word = plain ?? targeted.find((word) => word !== undefined)
  if (word === undefined) throw new InvalidSettingError(WORDS.join(' or '))
  return { word, exact: directives.length === 1 && plain !== undefined }
}

function inPino(word: Word): LogLevel {
  return word === 'off' ? 'silent' : word
}
