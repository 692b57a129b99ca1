import { describe, expect, test } from '@jest/globals'

import { type CommandLine, parseFlags } from './flags.js'
import { USAGE } from './usage.js'

const run = (flags: object): CommandLine => ({
  kind: 'run',
  flags: { port: 8091, bind: '127.0.0.1', skipStartupCheck: false, insecureLedger: false, ...flags },
})

const complaint = (line: CommandLine) => {
  if (line.kind !== 'wrong-usage') throw new Error(`expected wrong usage, got ${line.kind}`)
  return line.message.split('\n')
}

test('without flags the broker listens on 127.0.0.1:8091 and checks STS first', () => {
  expect(parseFlags([])).toEqual(run({}))
})

test.each([
  [['--port', '0'], { port: 0 }],
  [['--port=65535'], { port: 65_535 }],
  [['--bind', '0.0.0.0'], { bind: '0.0.0.0' }],
  [['--bind', '::1'], { bind: '::1' }],
  [['--bind', 'localhost'], { bind: 'localhost' }],
  [['--bind', 'broker.internal'], { bind: 'broker.internal' }],
  [['--skip-startup-check'], { skipStartupCheck: true }],
])('%j', (args, flags) => {
  expect(parseFlags(args)).toEqual(run(flags))
})

test('flags that only print need no other flag to be right', () => {
  expect(parseFlags(['--help', '--port', 'x'])).toEqual({ kind: 'help' })
  expect(parseFlags(['--version', '--port', 'x'])).toEqual({ kind: 'version' })
  expect(parseFlags(['--print-config', '--port', '9000'])).toEqual({
    kind: 'print-config',
    flags: { port: 9000, bind: '127.0.0.1', skipStartupCheck: false, insecureLedger: false },
  })
})

test.each(['session-backend', 'mail-router'])('%s takes its settings from variables alone', (command) => {
  expect(parseFlags([command])).toEqual({ kind: command })
  for (const more of [['--port', '1'], ['--bind', '::1'], ['x'], ['--from', 'x']])
    expect(parseFlags([command, ...more]).kind).toBe('wrong-usage')
})

describe('wrong usage', () => {
  test.each([['65536'], ['8091.0'], ['0x1f'], ['1e3'], [''], [' 1'], ['٣']])('--port %j', (port) => {
    const [reason] = complaint(parseFlags([`--port=${port}`]))
    expect(reason).toMatch(/^agentkeys-broker: --port ".*": expected a number, 0 to 65535$/)
  })

  test.each([[''], ['127.0.0.1:80'], ['[::1]'], ['a b'], ['999.1.1.1'], ['127.1'], ['-a'], ['*']])(
    '--bind %j',
    (bind) => {
      const [reason] = complaint(parseFlags([`--bind=${bind}`]))
      expect(reason).toMatch(/^agentkeys-broker: --bind ".*": expected an IP address/)
    },
  )

  test('all wrong flags are said at once', () => {
    const [first, second] = complaint(parseFlags(['--port=x', '--bind=*']))
    expect(first).toMatch(/^agentkeys-broker: --port "x"/)
    expect(second).toMatch(/^agentkeys-broker: --bind "\*"/)
  })

  test.each([['-1'], ['2m'], ['']])('--wait %j', (wait) => {
    const files = ['--app-password-file=a', '--audit-password-file=b']
    const [reason] = complaint(parseFlags(['init-eventstore', ...files, `--wait=${wait}`]))
    expect(reason).toMatch(/^agentkeys-broker: --wait ".*": expected a number of seconds/)
    expect(complaint(parseFlags(['--wait=1']))[0]).toContain('--wait belongs to a subcommand')
  })

  test.each([[['--ports', '1']], [['--port']], [['--help=yes']], [['-x']], [['--no-help']]])(
    '%j names the flag, and one line says how it is done',
    (args) => {
      const lines = complaint(parseFlags(args))
      expect(lines[0]).toContain(args[0]?.replace('=yes', ''))
      expect(lines[1]).toMatch(/^Usage: agentkeys-broker \[--port N]/)
      expect(lines).toHaveLength(2)
    },
  )

  test('a stray argument or the value of an unknown flag, which may be a pasted secret, is not repeated', () => {
    expect(complaint(parseFlags(['hunter2'])).join()).not.toContain('hunter2')
    expect(complaint(parseFlags(['--token=hunter2'])).join()).not.toContain('hunter2')
  })
})

test('the usage text names every flag', () => {
  for (const flag of ['port', 'bind', 'skip-startup-check', 'print-config', 'help', 'version']) {
    expect(USAGE).toContain(`\n  --${flag} `)
  }
})

describe('cut-off and restore', () => {
  const flags = { port: 8091, bind: '127.0.0.1', skipStartupCheck: false, insecureLedger: false }
  const wallet = `0x${'ab'.repeat(20)}`

  test('take one target, and a reason', () => {
    const target = { kind: 'wallet', target: wallet }
    expect(
      parseFlags(['cut-off', '--wallet', wallet.toUpperCase().replace('X', 'x'), '--reason', 'r']),
    ).toEqual({
      ...{ kind: 'cut-off', flags, target, reason: 'r' },
    })
    expect(parseFlags(['restore', '--wallet', wallet])).toEqual({
      ...{ kind: 'restore', flags, target, reason: undefined },
    })
  })

  test.each([
    [['cut-off'], 'exactly one of'],
    [['cut-off', '--wallet', wallet, '--role', 'x'], 'exactly one of'],
    [['cut-off', 'x', '--wallet', wallet], 'takes one of'],
    [['cut-off', '--wallet', '0x12'], '--wallet: expected'],
    [['cut-off', '--role', '*'], '--role: expected'],
    [['--wallet', wallet], '--wallet belongs to a subcommand'],
  ])('%j is wrong', (args, what) => {
    expect(complaint(parseFlags(args))[0]).toContain(what)
  })

  test('do not repeat a bearer that was given for its hash', () => {
    const bearer = 'c'.repeat(64)
    const said = complaint(parseFlags(['cut-off', '--session', bearer])).join(' ')
    expect(said).toContain('--session: expected sha256:')
    expect(said).not.toContain(bearer)
  })
})
