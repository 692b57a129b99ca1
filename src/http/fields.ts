// The fields that a body or a query may have, and what each may hold. A field that its class does not declare is refused.

import { nearestName } from './nearest-name.js'

/** What is wrong with a value, as a sentence about the field; undefined if it is good. */
type Check = (value: unknown, name: string) => string | undefined

interface Field {
  check: Check
  required: boolean
}

interface Problem {
  /** A name that is not declared is the caller's text. */
  undeclared?: string
  text: string
}

type Class<T extends object> = new () => T

const FIELDS = new WeakMap<object, Map<string, Field>>()

/** The field has to be there. */
export function Required(check: Check): PropertyDecorator {
  return declared(check, true)
}

/** The field may be left out; null is not a way of leaving it out. */
export function Optional(check: Check): PropertyDecorator {
  return declared(check, false)
}

function declared(check: Check, required: boolean): PropertyDecorator {
  return ({ constructor }, name) => {
    const fields = FIELDS.get(constructor) ?? new Map<string, Field>()
    FIELDS.set(constructor, fields.set(name as string, { check, required }))
  }
}

/** An instance with the fields that were given, or every problem. */
export function readFields<T extends object>(
  type: Class<T>,
  given: object,
): { read: T } | { problems: Problem[] } {
  const fields = FIELDS.get(type) ?? new Map<string, Field>()
  const problems: Problem[] = Object.keys(given)
    .filter((name) => !fields.has(name))
    .map((name) => ({ undeclared: name, text: undeclaredField(name, [...fields.keys()]) }))
  const read = new type()
  for (const [name, { check, required }] of fields) {
    const value = (given as Record<string, unknown>)[name]
    if (value === undefined && !required) continue
    const text = value === undefined ? `${name} is missing` : check(value, name)
    if (text) problems.push({ text })
    else Object.assign(read, { [name]: value })
  }
  return problems.length === 0 ? { read } : { problems }
}

const LONGEST_NAME = 24

/** Names are compared only where they can be ours: a long one is the caller's text, perhaps a bearer. */
function undeclaredField(name: string, names: readonly string[]): string {
  const meant = name.length <= LONGEST_NAME ? nearestName(name, names) : undefined
  return `there is no field ${name}${meant === undefined ? `; the fields are ${names.join(', ')}` : `: did you mean ${meant}?`}`
}

export function text(shortest: number, longest: number): Check {
  return (value, name) =>
    typeof value === 'string' && value.length >= shortest && value.length <= longest
      ? undefined
      : `${name} must be a string of ${shortest} to ${longest} characters`
}

export function integer(least: number): Check {
  return (value, name) =>
    Number.isInteger(value) && (value as number) >= least
      ? undefined
      : `${name} must be a whole number, ${least} or more`
}

export function boolean(value: unknown, name: string): string | undefined {
  return typeof value === 'boolean' ? undefined : `${name} must be true or false`
}

/** `what` ends the sentence: "limit must be 1 to 1000". */
export function matching(pattern: RegExp, what: string): Check {
  return (value, name) => (isMatch(value, pattern) ? undefined : `${name} must be ${what}`)
}

export function oneOf(values: readonly string[]): Check {
  return (value, name) =>
    values.includes(value as string) ? undefined : `${name} must be one of ${values.join(', ')}`
}

export function listOf(pattern: RegExp, what: string, most: number): Check {
  return (value, name) =>
    Array.isArray(value) && value.length <= most && value.every((one) => isMatch(one, pattern))
      ? undefined
      : `${name} must be a list of at most ${most} values, each ${what}`
}

export function fieldsOf(type: Class<object>): Check {
  return (value, name) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return `${name} must be an object`
    const reading = readFields(type, value)
    return 'read' in reading ? undefined : `${name}: ${reading.problems[0]?.text}`
  }
}

function isMatch(value: unknown, pattern: RegExp): boolean {
  return typeof value === 'string' && pattern.test(value)
}
