// Condition operators. IAM User Guide, "IAM JSON policy elements: Condition operators" and "Set operators for multivalued
// context keys".

import { type Context, matches, type Template, template, variablesOf } from './template.js'

const OPERATORS = [
  ...(['StringEquals', 'StringNotEquals', 'StringLike', 'StringNotLike'] as const),
  ...(['StringEqualsIgnoreCase', 'StringNotEqualsIgnoreCase'] as const),
  ...(['ArnEquals', 'ArnLike', 'ArnNotEquals', 'ArnNotLike'] as const),
  ...(['Bool', 'Null'] as const),
]
type Operator = (typeof OPERATORS)[number]

/** How the many values of one key are counted; undefined: the key has one value. */
type Quantifier = 'ForAllValues' | 'ForAnyValue' | undefined

export interface Condition {
  operator: Operator
  quantifier: Quantifier
  ifExists: boolean
  /** Lower-cased: condition keys have no case. */
  key: string
  values: readonly Template[]
}

/** Reads an operator's name, or says in an Error what would do. */
export function parseOperator(name: string): Pick<Condition, 'operator' | 'quantifier' | 'ifExists'> {
  const [, quantifier, word = '', suffix] =
    /^(?:(ForAllValues|ForAnyValue):)?(.*?)(IfExists)?$/s.exec(name) ?? []
  const operator = OPERATORS.find((one) => one === word)
  if (!operator || (operator === 'Null' && (suffix ?? quantifier) !== undefined))
    throw new Error(`operator ${name} is not one of ${OPERATORS.join(', ')}`)
  return { operator, quantifier: quantifier as Quantifier, ifExists: suffix !== undefined }
}

/** Completes a condition with its key and values; throws an Error for what it cannot honour in full. */
export function condition(
  parsed: ReturnType<typeof parseOperator>,
  key: string,
  values: readonly string[],
): Condition {
  const { operator } = parsed
  if ((operator === 'Null' || operator === 'Bool') && values.some((one) => one !== 'true' && one !== 'false'))
    throw new Error(`${operator} takes true or false`)
  const wildcards = /Like$|^Arn/.test(operator)
  const templates = values.map((value) => template(value, wildcards))
  // AWS does not say whether such a denial then applies, and a policy must not depend on it.
  const open = templates.flatMap(variablesOf).find(({ fallback }) => fallback === undefined)
  if (open && isNegated(operator))
    throw new Error(`\${${open.key}} in ${operator} needs a default value: \${${open.key}, 'none'}`)
  return { ...parsed, key: key.toLowerCase(), values: templates }
}

export function holds({ operator, quantifier, ifExists, key, values }: Condition, context: Context): boolean {
  const actual = context.get(key)
  if (operator === 'Null')
    return values.some((value) => matches(value, String(actual === undefined), context))
  const negated = isNegated(operator)
  // The traps: a missing key passes every ForAllValues and every negated operator. Only Null asks for its presence.
  if (actual === undefined)
    return ifExists || quantifier === 'ForAllValues' || (negated && quantifier === undefined)
  const passes = (value: string) =>
    values.some((one) => compare(operator, one, { value, context })) !== negated
  const all = quantifier === 'ForAllValues' || (negated && quantifier === undefined)
  return all ? actual.every(passes) : actual.some(passes)
}

function isNegated(operator: Operator): boolean {
  return operator.includes('Not')
}

type Asked = { value: string; context: Context }

function compare(operator: Operator, wanted: Template, { value, context }: Asked): boolean {
  switch (operator) {
    case 'StringEquals':
    case 'StringNotEquals':
    case 'StringLike':
    case 'StringNotLike':
    case 'Bool':
    case 'Null':
      return matches(wanted, value, context)
    case 'StringEqualsIgnoreCase':
    case 'StringNotEqualsIgnoreCase':
      return matches(lowerCased(wanted), value.toLowerCase(), loweredValues(context))
    case 'ArnEquals':
    case 'ArnLike':
    case 'ArnNotEquals':
    case 'ArnNotLike':
      return matchesArn(wanted, value, context)
  }
}

/** Each of the six parts on its own: a wildcard does not cross a colon, but in the last part. */
function matchesArn(wanted: Template, value: string, context: Context): boolean {
  const parts = value.split(':')
  const last = parts.slice(5).join(':')
  const patterns = splitAtColons(wanted)
  return (
    parts.length >= 6 &&
    patterns.length === 6 &&
    [...parts.slice(0, 5), last].every((part, index) => matches(patterns[index] ?? [], part, context))
  )
}

function splitAtColons(pieces: Template): Template[] {
  const parts: Template[number][][] = [[]]
  for (const piece of pieces) {
    const texts = piece.kind === 'text' ? piece.text.split(':') : [undefined]
    texts.forEach((text, index) => {
      if (index > 0 && parts.length < 6) parts.push([])
      else if (index > 0) parts.at(-1)?.push({ kind: 'text', text: ':' })
      parts.at(-1)?.push(text === undefined ? piece : { kind: 'text', text })
    })
  }
  return parts
}

function lowerCased(pieces: Template): Template {
  return pieces.map((piece) => (piece.kind === 'text' ? { ...piece, text: piece.text.toLowerCase() } : piece))
}

function loweredValues(context: Context): Context {
  return new Map([...context].map(([key, values]) => [key, values.map((value) => value.toLowerCase())]))
}
