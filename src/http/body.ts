// How a request body becomes an ask. The original broker read no body and wanted no content type; ours reads JSON.

import { type ArgumentMetadata, Injectable, type PipeTransform } from '@nestjs/common'
import type { FastifyInstance, FastifyRequest } from 'fastify'

import { BrokerError } from '../domain/errors.js'
import { duplicateMember } from '../domain/json-members.js'
import { readFields } from './fields.js'

export const BODY_LIMIT = 16 * 1024

/** No ask is that deep. What walks a value later calls itself for each level, and the stack ends before 16 KiB do. */
const MOST_LEVELS = 8

/**
 * Nothing is the defaults. Anything else has to be a JSON object: what is not understood must not become a credential
 * that was not asked for. An object is read whatever its content type says (curl -d without a header).
 */
export function readBodies(server: FastifyInstance): void {
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: BODY_LIMIT }, (request, body, done) => {
    try {
      done(null, parseBody(request, textOf(request, body as Buffer)))
    } catch (error) {
      done(error as Error)
    }
  })
}

const AS_JSON = 'the body must be a JSON object, sent as application/json'

function textOf({ headers }: FastifyRequest, body: Buffer): string {
  if (body.length === 0) return ''
  const coding = headers['content-encoding'] ?? 'identity'
  if (coding.toLowerCase() !== 'identity')
    throw new BrokerError('body-unsupported', 'the body must not be compressed')
  const charset = /;\s*charset="?([^";\s]*)/i.exec(headers['content-type'] ?? '')?.[1] ?? 'utf-8'
  if (!/^utf-?8$/i.test(charset)) throw new BrokerError('body-unsupported', 'the body must be UTF-8')
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
  } catch {
    throw new BrokerError('body-unsupported', 'the body must be UTF-8')
  }
}

function parseBody(request: FastifyRequest, body: string): unknown {
  if (body.trim() === '') return undefined
  const declared = /^application\/(?:[\w.+-]+\+)?json\b/i.test(request.headers['content-type'] ?? '')
  if (!declared && !body.trimStart().startsWith('{')) throw new BrokerError('body-unsupported', AS_JSON)
  if (isDeeper(body, MOST_LEVELS)) throw new BrokerError('body-too-deep', 'the body is nested too deeply')
  let value: unknown
  try {
    value = JSON.parse(body, (key, member: unknown) => {
      if (key === '__proto__') throw new BrokerError('unknown-field', 'the member __proto__ is not taken')
      return member
    })
  } catch (error) {
    if (error instanceof BrokerError) throw error
    // JSON.parse quotes the body in its message; the caller knows its own, the log should not.
    throw new BrokerError('body-malformed', 'the body is not JSON')
  }
  if (duplicateMember(body) !== undefined)
    throw new BrokerError('duplicate-member', 'the body has a member twice')
  return value
}

/** Looks at text that may be no JSON, in one pass: the parser itself would end its stack before the text ends. */
function isDeeper(json: string, levels: number): boolean {
  let [depth, inString] = [0, false]
  for (let i = 0; i < json.length && depth <= levels; i += 1) {
    const character = json[i] as string
    if (inString && character === '\\') i += 1
    else if (character === '"') inString = !inString
    else if (!inString && '{['.includes(character)) depth += 1
    else if (!inString && '}]'.includes(character)) depth -= 1
  }
  return depth > levels
}

const FIELD_NAME = /^[\w[\].]{1,24}$/

/** Turns a body or query into its class: fields that it does not declare are refused, and so is what its fields refuse. */
@Injectable()
export class AskPipe implements PipeTransform {
  transform(value: unknown, { metatype }: ArgumentMetadata): unknown {
    if (!metatype) return value
    if (value === undefined) return new metatype()
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new BrokerError('body-malformed', 'the body must be a JSON object')
    }
    const reading = readFields(metatype as new () => object, value)
    if ('read' in reading) return reading.read
    const problems = reading.problems.map(({ text, undeclared }) =>
      // A name that is not one of ours may be a bearer that slipped into the wrong place.
      undeclared === undefined || FIELD_NAME.test(undeclared)
        ? text
        : 'there is a field whose name is none of ours',
    )
    const reason = reading.problems.some(({ undeclared }) => undeclared !== undefined)
      ? 'unknown-field'
      : 'invalid-field'
    throw new BrokerError(reason, problems.slice(0, 8).join('; ').slice(0, 512))
  }
}
