import type { FastifyInstance } from 'fastify'

import { JSON_TYPE } from '../error-body.js'
import { jsonText } from '../replies.js'
import { brokerApi } from './broker-api.js'

/** GET /openapi.json from memory, and GET / with a link to it (RFC 8631). */
export function serveDescription(server: FastifyInstance, version: string): void {
  const start = jsonText({ name: 'AgentKeys Broker', version, description: '/openapi.json' })
  server.get('/', (_request, reply) =>
    reply.type(JSON_TYPE).header('Link', '</openapi.json>; rel="service-desc"').send(start),
  )
  const description = jsonText(brokerApi(version))
  server.get('/openapi.json', (_request, reply) => reply.type('application/json').send(description))
}
