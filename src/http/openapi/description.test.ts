import { readFileSync } from 'node:fs'

import { expect, test } from '@jest/globals'

import { VERSION } from '../../version.js'
import { brokerApi } from './broker-api.js'
import { sessionApi } from './session-api.js'

test.each([
  ['docs/openapi.json', brokerApi(VERSION)],
  ['docs/openapi-session.json', sessionApi(VERSION)],
])('%s is what npm run describe writes', (file, description) => {
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(JSON.parse(JSON.stringify(description)))
})
