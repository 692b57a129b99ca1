// A scraper that needs no browser: shows the contract. It "signs up" by making a key of its own, and says on stdout what
// a real one says. With ECHO_SERVICE_FAIL it fails on purpose.

import { randomBytes } from 'node:crypto'

const say = (event: object) => process.stdout.write(`${JSON.stringify(event)}\n`)

say({ type: 'progress', step: 'open sign-up page' })
const failure = process.env['ECHO_SERVICE_FAIL']
if (failure === undefined) {
  say({ type: 'progress', step: 'create key' })
  say({ type: 'success', api_key: `echo-${randomBytes(16).toString('hex')}` })
} else {
  say({ type: 'tripwire', kind: failure, step: 'open sign-up page', elapsed_ms: 1 })
  process.exitCode = 1
}
