import type { FastifyInstance } from 'fastify'

import { JSON_TYPE } from '../error-body.js'
import { jsonText } from '../replies.js'
import type { Schema } from './schemas.js'

/** GET /openapi.json from memory, and GET / with a link to it (RFC 8631). */
export function serveDescription(server: FastifyInstance, name: string, description: Schema): void {
  const { version } = description['info'] as { version: string }
  const start = jsonText({ name, version, description: '/openapi.json' })
  server.get('/', (_request, reply) =>
    reply.type(JSON_TYPE).header('Link', '</openapi.json>; rel="service-desc"').send(start),
  )
  const document = jsonText(description)
  server.get('/openapi.json', (_request, reply) => reply.type('application/json').send(document))
}
