// An OpenAPI 3.1 document from a table of operations: the form that both listeners' descriptions share.

import { headerRef, HEADERS, headersOf } from './headers.js'
import { ref, type Schema } from './schemas.js'

export interface Operation<Reason extends string> {
  id: string
  tag: string
  summary: string
  /** A bearer is needed, or, `optional`, only where entries are not public. */
  bearer?: true | 'optional'
  /** A model of Api.schemas. The body may be left out where the model requires no member. */
  body?: string
  parameters?: readonly Schema[]
  /** Status and what it carries: a model's name, a media type that is no JSON, or nothing. */
  replies: Readonly<Record<string, string>>
  /** Beside those of every request. */
  errors?: readonly Reason[]
  /** Of its replies, beside those that every reply has: names of HEADERS. */
  headers?: readonly string[]
}

export interface Api<Reason extends string> {
  title: string
  version: string
  description: string
  server: string
  tags: readonly { name: string; description: string }[]
  /** What a bearer is here. */
  bearer: string
  operations: Readonly<Record<string, Operation<Reason>>>
  /** With the model `Error`. */
  schemas: Readonly<Record<string, Schema>>
  errorReplies: (reasons: readonly Reason[]) => Record<string, Schema>
}

export function documentOf<Reason extends string>(api: Api<Reason>): Schema {
  const paths: Record<string, Record<string, Schema>> = {}
  for (const [route, operation] of Object.entries(api.operations)) {
    const [method = '', path = ''] = route.split(' ')
    paths[path] = { ...paths[path], [method]: described(api, operation) }
  }
  const { title, version, description, schemas } = api
  const license = { name: 'Apache-2.0', identifier: 'Apache-2.0' }
  return {
    openapi: '3.1.0',
    info: { title, version, description, license },
    servers: [{ url: '/', description: api.server }],
    security: [],
    tags: api.tags,
    paths,
    components: {
      schemas,
      headers: usedHeaders(paths),
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', description: api.bearer } },
    },
  }
}

function usedHeaders(paths: Schema): Schema {
  const text = JSON.stringify(paths)
  return Object.fromEntries(Object.entries(HEADERS).filter(([name]) => text.includes(`"${headerRef(name)}"`)))
}

function described<Reason extends string>(api: Api<Reason>, operation: Operation<Reason>): Schema {
  const { id, tag, summary, bearer, body, parameters, errors = [] } = operation
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(bearer === undefined ? {} : { security: bearer === 'optional' ? [{}, BEARER] : [BEARER] }),
    ...(parameters === undefined ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: requestBody(api.schemas[body] as Schema, body) }),
    responses: responses(api.errorReplies(errors), operation),
  }
}

const BEARER = { bearer: [] }

function requestBody(model: Schema, name: string): Schema {
  return { required: 'required' in model, content: { 'application/json': { schema: ref(name) } } }
}

function responses(
  errors: Record<string, Schema>,
  { replies, headers = [] }: Operation<string>,
): Record<string, Schema> {
  const all = { ...errors }
  for (const [status, carried] of Object.entries(replies))
    all[status] = merged(reply(carried), errors[status])
  return Object.fromEntries(
    Object.entries(all).map(([status, one]) => [status, { ...one, headers: headersOf(status, headers) }]),
  )
}

function reply(carried: string): Schema {
  if (carried === '') return { description: 'What the caller has is current' }
  const [type, schema] = carried.includes('/')
    ? [carried, { type: carried === 'application/json' ? 'object' : 'string' }]
    : ['application/json', ref(carried)]
  return { description: 'As summed up', content: { [type]: { schema } } }
}

/** A status that is both, as 503 of /readyz, carries either model. */
function merged(reply: Schema, error: Schema | undefined): Schema {
  if (error === undefined) return reply
  const anyOf = [error, reply].map(
    ({ content }) => (content as Record<string, { schema: unknown }>)['application/json']?.schema,
  )
  return { ...reply, content: { 'application/json': { schema: { anyOf } } } }
}
