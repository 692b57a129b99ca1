// The tests run on the compiled output: what is tested is what ships, workers and child processes included.
export default {
  rootDir: 'dist',
  testMatch: ['**/*.test.js'],
  transform: {},
  testEnvironment: 'node',
  maxWorkers: 2,
  testTimeout: 30_000,
}
