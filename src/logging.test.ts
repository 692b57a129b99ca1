import { expect, test } from '@jest/globals'

import { openLog } from './logging.js'

function logged(write: (log: ReturnType<typeof openLog>) => void): Record<string, unknown>[] {
  const lines: string[] = []
  write(openLog('info', { write: (line) => void lines.push(line) }))
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
}

test('a line says level, time, members and message', () => {
  const [line] = logged((log) => log.info({ route: '/v1/mint-oidc-jwt', status: 200 }, 'request'))
  expect(line).toEqual({
    level: 'info',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    route: '/v1/mint-oidc-jwt',
    status: 200,
    msg: 'request',
  })
})

test('members that name secrets are not shown, however deep they are', () => {
  const secret = 'canary'
  const reply = { ok: true, jwt: secret, aws: { list: [{ secretAccessKey: secret }] } }
  const [line] = logged((log) => log.warn({ bearer: secret, reply }, 'odd'))
  expect(line).toMatchObject({
    bearer: '[redacted]',
    reply: { ok: true, jwt: '[redacted]', aws: { list: [{ secretAccessKey: '[redacted]' }] } },
  })
  expect(JSON.stringify(line)).not.toContain(secret)
  expect(reply.jwt).toBe(secret)
})

test('what is nested without end is cut short', () => {
  const cycle: { inner?: unknown; secret: string } = { secret: 'canary' }
  cycle.inner = cycle
  const [line] = logged((log) => log.info({ cycle }, 'odd'))
  expect(JSON.stringify(line)).toContain('[too deep]')
  expect(JSON.stringify(line)).not.toContain('canary')
})

test('of an error its name, message, stack and cause are shown, and no other member', () => {
  const error = Object.assign(new Error('no answer', { cause: new TypeError('closed') }), {
    request: { authorization: 'canary' },
  })
  const [line] = logged((log) => log.error({ err: error }, 'failed'))
  expect(line).toMatchObject({
    err: { type: 'Error', message: 'no answer', cause: { type: 'TypeError', message: 'closed' } },
  })
  expect(JSON.stringify(line)).not.toContain('canary')
})
