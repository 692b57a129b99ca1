import { expect, test } from '@jest/globals'

import { duplicateMember } from './json-members.js'

test.each([
  ['{"a":1,"a":1}', 'a'],
  ['{"a":1,"\\u0061":2}', 'a'],
  ['[{"b":{"c":1, "d":2, "c" :3}}]', 'c'],
  ['{"a\\"":1,"a\\"":2}', 'a"'],
])('%s has a member twice', (json, name) => {
  expect(duplicateMember(json)).toBe(name)
})

test.each([
  '{}',
  '{"a":{"a":1},"b":["a","a"]}',
  '[{"a":1},{"a":2}]',
  '{"a":"\\"a\\":1,","b":"a"}',
  '"a"',
  '1',
])('%s has none', (json) => {
  expect(duplicateMember(json)).toBeUndefined()
})
