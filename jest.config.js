// The tests run on the compiled output: what is tested is what ships, workers and child processes included.

const shared = { rootDir: 'dist', transform: {}, testEnvironment: 'node' }

/** A project for each kind of suite, by the end of its name: what it needs, and so how long it takes. */
const suites = (displayName, ending) => ({ ...shared, displayName, testMatch: [`**/*.${ending}.test.js`] })

export default {
  projects: [
    {
      ...shared,
      displayName: 'unit',
      testMatch: ['**/*.test.js'],
      testPathIgnorePatterns: ['/node_modules/', '\\.(int|e2e|fault)\\.test\\.js$'],
    },
    suites('int', 'int'),
    suites('e2e', 'e2e'),
    suites('faults', 'fault'),
  ],
  maxWorkers: '100%',
  // A limit for what hangs, not a measure of speed: starts of real processes take their time on a busy machine.
  testTimeout: 300_000,
  reporters: ['default', '<rootDir>/dist/test/support/left-suites.reporter.js'],
}
