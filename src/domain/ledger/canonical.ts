// RFC 8785, the JSON Canonicalization Scheme: the one byte string of a JSON value.

export type Json = null | boolean | number | string | readonly Json[] | { readonly [member: string]: Json }

/** The canonical text of `value`. Throws TypeError for what has none: a lone surrogate, NaN, an infinity, undefined. */
export function canonicalize(value: Json): string {
  return atNativeSpeed(value) ?? spelledOut(value)
}

/**
 * JSON.stringify prints strings and numbers as RFC 8785 does and keeps the members' order, so it settles nearly every
 * entry at native speed. Undefined: what it would leave out or put in another order, and a \ud escape, which
 * may be a lone surrogate, which RFC 8785 refuses.
 */
function atNativeSpeed(value: Json): string | undefined {
  if (!isSorted(value)) return undefined
  const text = JSON.stringify(value)
  return text.includes('\\ud') ? undefined : text
}

function spelledOut(value: Json): string {
  if (typeof value === 'string') return quote(value)
  if (typeof value === 'number') {
    // RFC 8785 section 3.2.2.3 takes ECMAScript's own number-to-string, -0 as 0.
    if (!Number.isFinite(value)) throw new TypeError(`${value} is no JSON number`)
    return String(value)
  }
  if (value === null || typeof value === 'boolean') return String(value)
  // Array.from visits the holes too, and undefined has no canonical text.
  if (isList(value)) return `[${Array.from(value, spelledOut).join(',')}]`
  if (typeof value !== 'object') throw new TypeError(`${typeof value} is no JSON value`)

  let members = ''
  for (const key of sortedKeys(value)) {
    members += `${members === '' ? '' : ','}${quote(key)}:${spelledOut(value[key] as Json)}`
  }
  return `{${members}}`
}

/** Whether `text`, which parses to `value`, is the canonical text of it. */
export function isCanonical(text: string, value: Json): boolean {
  try {
    return canonicalize(value) === text
  } catch (error) {
    if (error instanceof TypeError) return false
    throw error
  }
}

function quote(text: string): string {
  if (!text.isWellFormed()) throw new TypeError('the string has a lone surrogate')
  return JSON.stringify(text)
}

/** By UTF-16 code units, RFC 8785 section 3.2.3: what Array.prototype.sort does by itself. */
function sortedKeys(value: object): string[] {
  return Object.keys(value).sort()
}

/** Whether it holds nothing but JSON, and every object's members are in order. */
function isSorted(value: unknown): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return Number.isFinite(value)
    case 'object':
      if (value === null) return true
      // Array.from visits the holes too.
      return Array.isArray(value)
        ? Array.from(value).every(isSorted)
        : membersAreSorted(value as Readonly<Record<string, unknown>>)
    default:
      return false
  }
}

function membersAreSorted(value: Readonly<Record<string, unknown>>): boolean {
  let last: string | undefined
  for (const key in value) {
    if ((last !== undefined && key <= last) || !isSorted(value[key])) return false
    last = key
  }
  return true
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}
