// Writes docs/openapi.json: npm run describe.

import { writeFileSync } from 'node:fs'

import { brokerApi } from '../../src/http/openapi/broker-api.js'
import { VERSION } from '../../src/version.js'

writeFileSync('docs/openapi.json', `${JSON.stringify(brokerApi(VERSION), null, 2)}\n`)
