// How a request body becomes an ask. The original broker read no body and wanted no content type; ours reads JSON.

import { type ArgumentMetadata, Injectable, type PipeTransform } from '@nestjs/common'
import { plainToInstance } from 'class-transformer'
import { validateSync } from 'class-validator'
import type { FastifyInstance, FastifyRequest } from 'fastify'

import { BrokerError } from '../domain/errors.js'

export const BODY_LIMIT = 16 * 1024

/**
 * A body that says it is JSON, or looks like a JSON object (curl -d without a header), is read strictly. Any other was
 * always ignored and still is: old clients send none.
 */
export function readBodies(server: FastifyInstance): void {
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('*', { parseAs: 'string', bodyLimit: BODY_LIMIT }, (request, body, done) => {
    try {
      done(null, parseBody(request, body as string))
    } catch (error) {
      done(error as Error)
    }
  })
}

function parseBody(request: FastifyRequest, body: string): unknown {
  if (body.trim() === '') return undefined
  const declared = /^application\/(?:[\w.+-]+\+)?json\b/i.test(request.headers['content-type'] ?? '')
  if (!declared && !body.trimStart().startsWith('{')) return undefined
  let value: unknown
  try {
    value = JSON.parse(body, (key, member: unknown) => {
      if (key === '__proto__') throw new BrokerError('bad_request', 'the member __proto__ is not taken')
      return member
    })
  } catch (error) {
    if (error instanceof BrokerError) throw error
    // JSON.parse quotes the body in its message; the caller knows its own, the log should not.
    throw new BrokerError('bad_request', 'the body is not JSON')
  }
  return value
}

/** Turns a body or query into its DTO: unknown fields are refused, and so is what the DTO's decorators refuse. */
@Injectable()
export class AskPipe implements PipeTransform {
  transform(value: unknown, { metatype }: ArgumentMetadata): unknown {
    if (!metatype) return value
    if (value === undefined) return new metatype()
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new BrokerError('bad_request', 'the body must be a JSON object')
    }
    // class-transformer drops these two in silence, where an unknown field is an error.
    const dropped = ['constructor', 'prototype'].find((name) => Object.hasOwn(value, name))
    if (dropped) throw new BrokerError('bad_request', `property ${dropped} should not exist`)
    const ask = plainToInstance(metatype as new () => object, value)
    const errors = validateSync(ask, {
      whitelist: true,
      forbidNonWhitelisted: true,
      forbidUnknownValues: true,
    })
    if (errors.length === 0) return ask
    const problems = errors.flatMap(({ constraints }) => Object.values(constraints ?? {}))
    throw new BrokerError('bad_request', problems.slice(0, 8).join('; ').slice(0, 512))
  }
}
