import { expect, test } from '@jest/globals'

import { leftSuites } from './left-suites.reporter.js'

const SUITES = ['a.test.js', 'b.int.test.js', 'c.e2e.test.js', 'd.e2e.test.js', 'e.fault.test.js']

test('a run of one kind says how many suites of the others it left out, and what runs them', () => {
  expect(leftSuites(SUITES, new Set(['unit']))).toBe(
    '\nLeft to the others: 4 suites, test:int (1), test:e2e (2), test:faults (1). Everything: npm run test:all',
  )
})

test('a run without the unit suites leaves those to npm test', () => {
  expect(leftSuites(SUITES, new Set(['int', 'e2e', 'faults']))).toContain('1 suites, npm test (1).')
})

test('a run of everything has nothing to say', () => {
  expect(leftSuites(SUITES, new Set(['unit', 'int', 'e2e', 'faults']))).toBeUndefined()
})
