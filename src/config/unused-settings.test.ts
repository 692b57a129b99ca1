import { expect, test } from '@jest/globals'

import { warnings } from '../../test/support/config-reading.js'

test.each(['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'ALL_PROXY'])(
  '%s is a warning that does not show its password',
  (name) => {
    expect(warnings({ [name]: 'http://ann:hunter2@proxy:3128' })).toEqual([
      `${name} is not used: connections to STS, the session backend and witnesses are direct; let the network allow them`,
    ])
    expect(warnings({ [name]: '' })).toEqual([])
  },
)

test.each([
  ['AWS_USE_FIPS_ENDPOINT', 'true'],
  ['AWS_USE_DUALSTACK_ENDPOINT', 'TRUE'],
  ['NODE_TLS_REJECT_UNAUTHORIZED', '0'],
])('%s=%s is a warning', (name, value) => {
  expect(warnings({ [name]: value })).toEqual([expect.stringMatching(new RegExp(`^${name}\\b`))])
  expect(warnings({ [name]: 'false' })).toEqual([])
})
