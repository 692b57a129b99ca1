import type { FastifyServerOptions } from 'fastify'

/**
 * No route here has a JSON schema: bodies are read in body.ts. Without this option Fastify loads its schema compilers all
 * the same, at every start. A route that comes with a schema is refused as it is declared.
 */
export const NO_SCHEMAS: Pick<FastifyServerOptions, 'schemaController'> = {
  schemaController: { compilersFactory: { buildValidator: refuse, buildSerializer: refuse } },
}

function refuse(): never {
  throw new Error('a route has a JSON schema, but this server compiles none (src/http/no-schemas.ts)')
}
