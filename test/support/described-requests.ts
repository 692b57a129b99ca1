// Requests from a description: valid, nearly valid and senseless ones, for every operation.

import fc, { type Arbitrary } from 'fast-check'

import type { DescribedOperation, Description, Parameter } from './described.js'

type Schema = Record<string, unknown>

export interface AskedRequest {
  method: string
  path: string
  headers: Record<string, string>
  body?: string
}

/** Values that exist at the broker, by the name of the member or parameter that takes one. */
export type Known = Readonly<Record<string, readonly string[]>>

const SENSELESS = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.string({ maxLength: 80 }),
  fc.constantFrom<unknown>(null, '', -1, 0, 1.5, 1e21, [], {}, 'NaN', '0x', '../..'),
)

export class Requests {
  constructor(
    private readonly description: Description,
    private readonly known: Known,
    private readonly bearers: readonly string[],
  ) {}

  of(path: string, method: string, operation: DescribedOperation): Arbitrary<AskedRequest> {
    const { parameters = [], requestBody } = operation
    const named = (place: string) => parameters.filter(({ in: where }) => where === place)
    const schema = requestBody?.content['application/json']?.schema as Schema | undefined
    return fc.record(
      {
        method: rarely(fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH'), method.toUpperCase()),
        path: this.path(path, named('path'), named('query')),
        headers: fc
          .tuple(this.headers(named('header')), schema ? CONTENT_TYPES : fc.constant({}))
          .map(([own, type]) => ({ ...own, ...type })),
        ...(schema ? { body: this.body(schema) } : {}),
      },
      { requiredKeys: ['method', 'path', 'headers'] },
    )
  }

  private path(template: string, parts: Parameter[], queries: Parameter[]): Arbitrary<string> {
    const query = fc.record(this.values(queries), { requiredKeys: [] })
    const unknown = rarely(fc.constant({ unknown: 'x' }), {})
    return fc.tuple(fc.record(this.values(parts)), query, unknown).map(([values, given, more]) => {
      const path = template.replace(/\{(\w+)\}/g, (_, name: string) => pathText(values[name]))
      const fields = Object.entries({ ...given, ...more }).map(([name, value]): [string, string] => [
        name,
        textOf(value),
      ])
      return fields.length === 0 ? path : `${path}?${new URLSearchParams(fields).toString()}`
    })
  }

  private headers(named: Parameter[]): Arbitrary<Record<string, string>> {
    const bearers = this.bearers.map((token) => `Bearer ${token}`)
    const authorization = rarely(
      fc.constantFrom('Bearer', 'bearer x', 'Basic eDp5', 'Bearer a b'),
      ...bearers,
    )
    const own = fc.record({ ...this.values(named), authorization }, { requiredKeys: [] })
    return own.map((headers) =>
      Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, headerText(value)])),
    )
  }

  private body(schema: Schema): Arbitrary<string> {
    const json = this.valid(schema).map((value) => JSON.stringify(value))
    const senseless = fc.oneof(
      SENSELESS.map((value) => JSON.stringify(value)),
      fc.constantFrom('{', '[[[[[[[[[[]]]]]]]]]]', '{"a":1,"a":1}', '{"__proto__":1}', '\u0000', 'a=1&b=2'),
    )
    return fc.oneof(
      { arbitrary: json, weight: 5 },
      { arbitrary: this.nearlyValid(schema), weight: 4 },
      { arbitrary: senseless, weight: 1 },
    )
  }

  private nearlyValid(schema: Schema): Arbitrary<string> {
    const names = Object.keys(this.resolved(schema)['properties'] ?? {})
    const name = fc.constantFrom(...names, 'unknown', 'role_arn')
    return fc
      .tuple(this.valid(schema), name, SENSELESS)
      .map(([value, member, other]) => JSON.stringify({ ...(value as object), [member]: other }))
  }

  private values(parameters: readonly Parameter[]): Record<string, Arbitrary<unknown>> {
    return Object.fromEntries(
      parameters.map(({ name, schema }) => [name, rarely(SENSELESS, this.valid(schema, name))]),
    )
  }

  private resolved(schema: Schema): Schema {
    const name = /^#\/components\/schemas\/(\w+)$/.exec((schema['$ref'] as string | undefined) ?? '')?.[1]
    return name === undefined ? schema : (this.description.document.components.schemas[name] as Schema)
  }

  private valid(schema: Schema, name = ''): Arbitrary<unknown> {
    const {
      type,
      enum: values,
      properties,
      required = [],
      items,
      examples = [],
      ...rest
    } = this.resolved(schema)
    if (values) return fc.constantFrom(...(values as unknown[]))
    const found = [...(this.known[name] ?? []), ...(examples as unknown[])]
    switch (type) {
      case 'object': {
        const members = Object.entries(properties as Record<string, Schema>)
        const arbitraries = Object.fromEntries(members.map(([key, one]) => [key, this.valid(one, key)]))
        return fc.record(arbitraries, { requiredKeys: required as string[] })
      }
      case 'array':
        return fc.array(this.valid(items as Schema), { maxLength: 3 })
      case 'boolean':
        return fc.boolean()
      case 'integer':
        return fc.oneof(fc.constantFrom(60, 900, ...found), numberOf(rest))
      default:
        return found.length === 0 ? stringOf(rest) : fc.oneof(fc.constantFrom(...found), stringOf(rest))
    }
  }
}

const CONTENT_TYPES = fc.oneof(
  { arbitrary: fc.constant({ 'content-type': 'application/json' }), weight: 8 },
  {
    arbitrary: fc.constantFrom<Record<string, string>>(
      { 'content-type': 'text/plain' },
      { 'content-type': 'application/json; charset=utf-16' },
      { 'content-type': 'application/json', 'content-encoding': 'gzip' },
    ),
    weight: 1,
  },
)

function rarely<T, U>(odd: Arbitrary<T>, ...usual: (U | Arbitrary<U>)[]): Arbitrary<T | U> {
  const each = usual.map((one) => (isArbitrary(one) ? one : fc.constant(one)))
  return fc.oneof({ arbitrary: odd, weight: 1 }, { arbitrary: fc.oneof(...each), weight: 8 })
}

function isArbitrary<U>(value: U | Arbitrary<U>): value is Arbitrary<U> {
  return value instanceof fc.Arbitrary
}

function numberOf({ minimum = 0, maximum = 100_000 }: Schema): Arbitrary<number> {
  return fc.integer({ min: minimum as number, max: maximum as number })
}

function stringOf({ pattern, minLength = 0, maxLength = 400 }: Schema): Arbitrary<string> {
  const longest = Math.min(maxLength as number, 400)
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern as string), { size: '-1' })
  return fc.string({ minLength: minLength as number, maxLength: longest })
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
}

/** Never empty: that would be another path. */
function pathText(value: unknown): string {
  return (textOf(value) || '-').replace(/[^\w./-]/g, (character) =>
    encodeURIComponent(character.toWellFormed()),
  )
}

function headerText(value: unknown): string {
  return textOf(value).replace(/[^\x21-\x7e]/g, '_')
}
