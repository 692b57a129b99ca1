import { describe, expect, test } from '@jest/globals'

import { warnings } from '../../test/support/config-reading.js'

describe('--bind', () => {
  test.each([['0.0.0.0'], ['::'], ['192.168.1.1'], ['broker.internal'], ['fe80::1']])(
    '%s is a warning',
    (bind) => {
      expect(warnings({}, { bind })).toEqual([
        `--bind ${bind} is no loopback address: bearers and credentials cross the network in clear unless a proxy ends TLS`,
      ])
    },
  )

  test.each([
    ['127.0.0.1'],
    ['127.3.2.1'],
    ['::1'],
    ['0:0:0:0:0:0:0:1'],
    ['::ffff:127.0.0.1'],
    ['localhost'],
  ])('%s is none', (bind) => {
    expect(warnings({}, { bind })).toEqual([])
  })
})
