// The fields that a body or a query may have, and what each may hold. A field that its class does not declare is refused.

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
    .map((name) => ({ undeclared: name, text: `property ${name} should not exist` }))
  const read = new type()
  for (const [name, { check, required }] of fields) {
    const value = (given as Record<string, unknown>)[name]
    if (value === undefined && !required) continue
    const text = check(value, name)
    if (text) problems.push({ text })
    else Object.assign(read, { [name]: value })
  }
  return problems.length === 0 ? { read } : { problems }
}

export function text(shortest: number, longest: number): Check {
  return (value, name) => {
    if (typeof value !== 'string') return `${name} must be a string`
    if (value.length < shortest) return `${name} must be longer than or equal to ${shortest} characters`
    if (value.length > longest) return `${name} must be shorter than or equal to ${longest} characters`
    return undefined
  }
}

export function integer(least: number): Check {
  return (value, name) => {
    if (!Number.isInteger(value)) return `${name} must be an integer number`
    return (value as number) < least ? `${name} must not be less than ${least}` : undefined
  }
}

export function boolean(value: unknown, name: string): string | undefined {
  return typeof value === 'boolean' ? undefined : `${name} must be a boolean value`
}

/** `what` ends the sentence: "limit must be 1 to 1000". */
export function matching(pattern: RegExp, what: string): Check {
  return (value, name) => (isMatch(value, pattern) ? undefined : `${name} must be ${what}`)
}

export function oneOf(values: readonly string[]): Check {
  return (value, name) =>
    values.includes(value as string) ? undefined : `${name} must be one of ${values.join(', ')}`
}

export function listOf(pattern: RegExp, most: number): Check {
  return (value, name) => {
    if (!Array.isArray(value)) return `${name} must be an array`
    if (value.length > most) return `${name} must contain no more than ${most} elements`
    return value.every((one) => isMatch(one, pattern))
      ? undefined
      : `each value in ${name} must match ${pattern} regular expression`
  }
}

export function fieldsOf(type: Class<object>): Check {
  return (value, name) => {
    if (value === undefined || value === null) return `${name} should not be null or undefined`
    if (typeof value !== 'object' || Array.isArray(value)) return `${name} must be an object`
    const reading = readFields(type, value)
    return 'read' in reading ? undefined : `${name}: ${reading.problems[0]?.text}`
  }
}

function isMatch(value: unknown, pattern: RegExp): boolean {
  return typeof value === 'string' && pattern.test(value)
}
