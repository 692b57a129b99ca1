import { expect, test } from '@jest/globals'

import { parseApprovalsLine } from './approvals-line.js'

test.each([
  [['list'], {}, { verb: 'list', all: false, json: false }],
  [['list'], { all: true, json: true }, { verb: 'list', all: true, json: true }],
  [['approve', 'x'], {}, { verb: 'approve', id: 'x', reason: undefined }],
  [['deny', 'x'], { reason: 'no' }, { verb: 'deny', id: 'x', reason: 'no' }],
])('%j with %j is %j', (rest, values, line) => {
  expect(parseApprovalsLine(rest, values)).toEqual(line)
})

test.each([
  [[], {}],
  [['grant', 'x'], {}],
  [['list', 'x'], {}],
  [['list'], { reason: 'no' }],
  [['approve'], {}],
  [['approve', 'x', 'y'], {}],
  [['deny', 'x'], { json: true }],
])('%j with %j is refused', (rest, values) => {
  expect(() => parseApprovalsLine(rest, values)).toThrow('expected approvals list')
})
