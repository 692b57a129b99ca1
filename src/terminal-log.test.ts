import { expect, test } from '@jest/globals'

import { openLog } from './logging.js'
import { terminalLog } from './terminal-log.js'

function written(log: (logger: ReturnType<typeof openLog>) => void, colour = false): string {
  let out = ''
  const sink = { write: (line: string) => void (out += line) }
  log(openLog('info', terminalLog(sink, colour)))
  return out
}

test('a line has time in UTC, level, message and members', () => {
  expect(written((log) => log.info({ kid: 'k1', size: 3 }, 'ledger opened'))).toMatch(
    /^\d\d:\d\d:\d\d info {2}ledger opened {2}kid=k1 {2}size=3\n$/,
  )
})

test('warnings and errors have a colour, where there are colours', () => {
  expect(written((log) => log.warn('careful'), true)).toContain('\x1b[33mwarn \x1b[0m careful')
  expect(written((log) => log.info('fine'), true)).not.toContain('\x1b')
})

test('what a client sent cannot move the cursor or make a line', () => {
  const out = written((log) => log.warn({ path: '/\x1b[2J\n\u202e' }, 'unknown\rpath'))
  expect(out.trimEnd()).toMatch(/unknown\ufffdpath {2}path=\/\ufffd\[2J\ufffd\ufffd$/)
})

test('secrets are hidden as in JSON lines', () => {
  expect(written((log) => log.info({ token: 'abc' }, 'x'))).toContain('token=[redacted]')
})
