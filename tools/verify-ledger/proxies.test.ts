import { expect, test } from '@jest/globals'

import { proxyWarning } from './proxies.js'
import type { SourceName } from './sources/open.js'

const PROXY = 'http://ann:hunter2@proxy.example.com:3128'
const log: SourceName = { kind: 'http', url: 'https://broker.example.com/ledger' }

test.each(['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy'])(
  '%s is a warning without its value',
  (name) => {
    const warning = proxyWarning(log, { [name]: PROXY })
    expect(warning).toMatch(new RegExp(`^warning: ${name} is not used`))
    expect(warning).not.toContain('hunter2')
    expect(proxyWarning(log, { [name]: '' })).toBeUndefined()
  },
)

test('a proxy for another scheme, or for no HTTP source, is none', () => {
  expect(proxyWarning(log, { HTTP_PROXY: PROXY })).toBeUndefined()
  expect(proxyWarning({ kind: 'http', url: 'http://127.0.0.1:1/' }, { HTTPS_PROXY: PROXY })).toBeUndefined()
  expect(proxyWarning({ kind: 'sqlite', path: 'ledger.sqlite' }, { HTTPS_PROXY: PROXY })).toBeUndefined()
})

test.each([
  ['*', true],
  ['broker.example.com', true],
  ['other.org, .example.com', true],
  ['example.com', true],
  ['ample.com', false],
  ['', false],
])('NO_PROXY=%s', (list, exempt) => {
  expect(proxyWarning(log, { HTTPS_PROXY: PROXY, NO_PROXY: list }) === undefined).toBe(exempt)
})
