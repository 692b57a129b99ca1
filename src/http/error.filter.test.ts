import { afterEach, expect, test } from '@jest/globals'
import { Controller, Get } from '@nestjs/common'

import { type Served, served } from '../../test/support/served.js'
import { StsError, StsOverloaded } from '../aws/sts.js'
import { SessionError } from '../session/session-backend.js'

@Controller()
class Failing {
  constructor(private readonly error: Error) {}

  @Get()
  fail(): never {
    throw this.error
  }
}

let open: Served | undefined
afterEach(() => open?.close())

interface Row {
  what: string
  error: Error
  status: number
  answer: [kind: string, retryAfter: string | null]
}

test.each<Row>([
  {
    what: 'our own queue for the session backend',
    error: new SessionError('overloaded', 'x'),
    status: 503,
    answer: ['overloaded', '1'],
  },
  { what: 'our own queue for STS', error: new StsOverloaded(), status: 503, answer: ['overloaded', '1'] },
  {
    what: 'a silent session backend',
    error: new SessionError('backend-unreachable', 'x'),
    status: 502,
    answer: ['backend_unreachable', null],
  },
  { what: 'a silent STS', error: new StsError('timeout', 'x'), status: 502, answer: ['sts_error', null] },
])('$what', async ({ error, status, answer: [kind, retryAfter] }) => {
  open = await served([Failing], [{ provide: Error, useValue: error }])
  const response = await fetch(open.url)
  expect(response.status).toBe(status)
  expect(await response.json()).toMatchObject({ error: kind })
  expect(response.headers.get('retry-after')).toBe(retryAfter)
})
