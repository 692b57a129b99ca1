// Writes docs/openapi.json and docs/openapi-session.json: npm run describe.

import { writeFileSync } from 'node:fs'

import { brokerApi } from '../../src/http/openapi/broker-api.js'
import type { Schema } from '../../src/http/openapi/schemas.js'
import { sessionApi } from '../../src/http/openapi/session-api.js'
import { VERSION } from '../../src/version.js'

write('docs/openapi.json', brokerApi(VERSION))
write('docs/openapi-session.json', sessionApi(VERSION))

function write(file: string, description: Schema): void {
  writeFileSync(file, `${JSON.stringify(description, null, 2)}\n`)
}
