// The tests run on the compiled output: what is tested is what ships, workers and child processes included.
export default {
  rootDir: 'dist',
  testMatch: ['**/*.test.js'],
  transform: {},
  testEnvironment: 'node',
  maxWorkers: 2,
  // A limit for what hangs, not a measure of speed: starts of real processes take their time on a busy machine.
  testTimeout: 300_000,
}
