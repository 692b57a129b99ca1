import { readFileSync } from 'node:fs'

import { expect, test } from '@jest/globals'

import { VERSION } from '../../version.js'
import { brokerApi } from './broker-api.js'

test('docs/openapi.json is what npm run describe writes', () => {
  expect(JSON.parse(readFileSync('docs/openapi.json', 'utf8'))).toEqual(
    JSON.parse(JSON.stringify(brokerApi(VERSION))),
  )
})
