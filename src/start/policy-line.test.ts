import { expect, test } from '@jest/globals'

import { parseFlags } from './flags.js'

const line = (...args: string[]) => {
  const parsed = parseFlags(['policy', ...args])
  return parsed.kind === 'policy' ? parsed.line : parsed.kind
}

test('the verbs, each with what it takes', () => {
  expect(line('schema')).toEqual({ verb: 'schema' })
  expect(line('check')).toEqual({ verb: 'check', folder: undefined })
  expect(line('check', 'dir')).toEqual({ verb: 'check', folder: 'dir' })
  expect(line('test', 'file')).toEqual({ verb: 'test', file: 'file' })
  expect(line('replay', 'dir', '--json')).toEqual({ verb: 'replay', folder: 'dir', json: true })
  const wallet = `0x${'aB'.repeat(20)}`
  const more = ['--kind', 'creds', '--seconds', '900', '--at', '2026-11-27T08:00:00Z']
  expect(line('explain', '--wallet', wallet, ...more)).toEqual({
    verb: 'explain',
    ask: {
      ...{ wallet: wallet.toLowerCase(), kind: 'aws_creds', role: undefined, audience: undefined },
      ...{ seconds: 900, agent: undefined, at: new Date('2026-11-27T08:00:00Z') },
    },
  })
})

test.each([
  [[]],
  [['nonsense']],
  [['schema', 'more']],
  [['test']],
  [['check', 'a', 'b']],
  [['check', '--json']],
  [['schema', '--wallet', `0x${'a'.repeat(40)}`]],
  [['explain']],
  [['explain', '--wallet', '0x12']],
  [['explain', '--wallet', `0x${'a'.repeat(40)}`, '--seconds', '-1']],
  [['explain', '--wallet', `0x${'a'.repeat(40)}`, '--at', 'noon']],
  [['check', '--port', '1']],
])('%j is wrong usage', (args) => {
  expect(line(...args)).toBe('wrong-usage')
})
