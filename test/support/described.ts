// Holds replies against the descriptions of the two APIs: what they do not say must not come.

import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

import { brokerApi } from '../../src/http/openapi/broker-api.js'
import { sessionApi } from '../../src/http/openapi/session-api.js'
import { VERSION } from '../../src/version.js'

export interface SentReply {
  method: string
  /** As it was sent: with its query. */
  path: string
  status: number
  headers: Headers
  text: string
}

interface Response {
  content?: Record<string, { schema: object }>
  headers: Record<string, object>
}

export interface DescribedOperation {
  operationId: string
  security?: readonly object[]
  parameters?: readonly Parameter[]
  requestBody?: { required: boolean; content: Record<string, { schema: object }> }
  responses: Record<string, Response>
}

export interface Parameter {
  name: string
  in: string
  required: boolean
  schema: Record<string, unknown>
}

interface Document {
  paths: Record<string, Record<string, DescribedOperation>>
  components: { schemas: Record<string, object>; headers: Record<string, { required: boolean }> }
}

/** Of HTTP itself: they say how the message is moved, and for some of them Node decides whether they are there. */
const OF_TRANSPORT = new Set(['connection', 'content-length', 'content-type', 'date', 'keep-alive'])
OF_TRANSPORT.add('transfer-encoding')

export class Description {
  readonly document: Document
  private readonly ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true })
  private readonly validators = new Map<string, ValidateFunction>()
  private readonly routes: { path: string; pattern: RegExp }[]

  constructor(
    document: object,
    private readonly file: string,
  ) {
    this.document = document as Document
    addFormats.default(this.ajv)
    const schemas = { $id: 'api', $defs: this.document.components.schemas }
    this.ajv.addSchema(JSON.parse(asDefinitions(schemas)) as object)
    this.routes = Object.keys(this.document.paths).map((path) => ({ path, pattern: patternOf(path) }))
  }

  /** Throws with the operation, the status, and where in the reply it is not what is described. */
  check(reply: SentReply): void {
    const { id, operation, known } = this.operationOf(reply)
    const { status } = reply
    const problems = this.problemsOf(reply, known || status >= 400 ? operation.responses[status] : undefined)
    if (problems.length === 0) return
    const request = `${reply.method} ${reply.path.slice(0, 200)}`
    throw new Error(
      `${this.file} does not describe this reply of ${id}: ${request} answered ${status}: ` +
        `${problems.join('; ')}\n${reply.text.slice(0, 2000)}`,
    )
  }

  /** Of a path or method that is not described only the errors of every request may come: those of GET /. */
  private operationOf({ method, path }: SentReply) {
    const name = method === 'HEAD' ? 'get' : method.toLowerCase()
    const sent = path.split('?', 1)[0] as string
    const route = this.routes.find(({ pattern }) => pattern.test(sent))
    const operation = route && this.document.paths[route.path]?.[name]
    if (operation) return { id: operation.operationId, operation, known: true }
    const start = this.document.paths['/']?.['get'] as DescribedOperation
    return { id: 'no operation', operation: start, known: false }
  }

  private problemsOf(reply: SentReply, response: Response | undefined): string[] {
    if (!response) return ['the status is not described']
    return [...this.headerProblems(reply, response), ...this.bodyProblems(reply, response)]
  }

  private headerProblems({ headers }: SentReply, response: Response): string[] {
    const described = Object.keys(response.headers)
    const names = new Set(described.map((name) => name.toLowerCase()))
    const unknown = [...headers.keys()].filter((name) => !names.has(name) && !OF_TRANSPORT.has(name))
    const missing = described.filter(
      (name) => this.document.components.headers[name]?.required && !headers.has(name),
    )
    return [
      ...unknown.map((name) => `the header ${name} is not described`),
      ...missing.map((name) => `the header ${name} is missing`),
    ]
  }

  private bodyProblems({ method, headers, text }: SentReply, { content = {} }: Response): string[] {
    if (text === '' && (method === 'HEAD' || Object.keys(content).length === 0)) return []
    const type = (headers.get('content-type') ?? '').split(';', 1)[0] as string
    const schema = content[type]?.schema
    if (!schema) return [`the content type ${JSON.stringify(type)} is not described`]
    if (type !== 'application/json') return []
    const validate = this.validatorOf(schema)
    return validate(JSON.parse(text)) ? [] : (validate.errors ?? []).map(sentence)
  }

  private validatorOf(schema: object): ValidateFunction {
    const key = asDefinitions(schema)
    const known = this.validators.get(key) ?? this.ajv.compile(JSON.parse(key) as object)
    this.validators.set(key, known)
    return known
  }
}

/** The models alone are the JSON Schema: the rest of the document has members that JSON Schema does not know. */
function asDefinitions(schema: object): string {
  return JSON.stringify(schema).replaceAll('"#/components/schemas/', '"api#/$defs/')
}

/** A tile's name has slashes: its parameter stands for the rest of the path. */
function patternOf(path: string): RegExp {
  const pattern = path
    .replaceAll('.', '\\.')
    .replaceAll('{tile}', '.+')
    .replaceAll(/\{\w+\}/g, '[^/]+')
  return new RegExp(`^${pattern}$`)
}

function sentence({ instancePath, message = '', params }: ErrorObject): string {
  const member = (params as { additionalProperty?: string }).additionalProperty
  return `${instancePath || 'the body'} ${message}${member === undefined ? '' : ` (${member})`}`
}

export const BROKER_API = new Description(brokerApi(VERSION), 'docs/openapi.json')
export const SESSION_API = new Description(sessionApi(VERSION), 'docs/openapi-session.json')
