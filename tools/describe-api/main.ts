// Writes docs/openapi.json, docs/openapi-session.json and docs/commands.md: npm run describe.

import { writeFileSync } from 'node:fs'

import { brokerApi } from '../../src/http/openapi/broker-api.js'
import type { Schema } from '../../src/http/openapi/schemas.js'
import { sessionApi } from '../../src/http/openapi/session-api.js'
import { VERSION } from '../../src/version.js'
import { GLOBAL } from '../agentkeys/command-line.js'
import { COMMANDS } from '../agentkeys/command-table.js'
import { commandsPage } from '../agentkeys/help.js'

write('docs/openapi.json', brokerApi(VERSION))
write('docs/openapi-session.json', sessionApi(VERSION))
writeFileSync('docs/commands.md', commandsPage(COMMANDS, GLOBAL))

function write(file: string, description: Schema): void {
  writeFileSync(file, `${JSON.stringify(description, null, 2)}\n`)
}
