import { describe, expect, test } from '@jest/globals'

import { InvalidSettingError } from './environment.js'
import { crossesInClear, parseIssuer, parseServiceUrl } from './urls.js'

function complaint(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof InvalidSettingError) return `${error.expected}; ${error.remedy}`
    throw error
  }
  throw new Error('expected InvalidSettingError')
}

const LONGEST = `https://broker.example.com/${'a'.repeat(255 - 27)}`

describe('an issuer', () => {
  test.each([
    ['https://broker.example.com'],
    ['https://broker.example.com/tenants/a'],
    ['https://broker.example.com/a%20b%7E/c~@:+'],
    ['https://broker.example.com:8443'],
    ['https://xn--bcher-kva.example'],
    ['https://192.0.2.1'],
    ['https://[2001:db8::1]'],
    ['http://localhost:8091'],
    ['http://127.0.0.1'],
    ['http://127.1.2.3:1'],
    ['http://[::1]:8091'],
    [LONGEST],
  ])('%s stands as it is, and loses one trailing slash', (issuer) => {
    expect(parseIssuer(issuer)).toBe(issuer)
    expect(parseIssuer(`${issuer}/`)).toBe(issuer)
  })

  test.each([
    ['', 'scheme'],
    ['broker.example.com', 'scheme'],
    ['//broker.example.com', 'scheme'],
    ['https:broker.example.com', 'scheme'],
    ['https:/broker.example.com', 'scheme'],
    ['https://', 'scheme'],
    ['https://:443', 'a URL;'],
    ['ftp://broker.example.com', 'https'],
    ['http://broker.example.com', 'https'],
    ['http://10.0.0.1', 'https'],
    ['http://localhost.example.com', 'https'],
    ['http://0.0.0.0', 'https'],
    ['http://[::]', 'https'],
    ['https://ann@broker.example.com', 'user'],
    ['https://ann:pw@broker.example.com', 'user'],
    ['https://@broker.example.com', 'user'],
    ['https://broker.example.com?', 'query'],
    ['https://broker.example.com/?a=b', 'query'],
    ['https://broker.example.com#', 'query'],
    ['https://broker.example.com/a#b', 'query'],
    ['https://broker.example.com//', 'segments'],
    ['https://broker.example.com/a//b', 'segments'],
    ['https://broker.example.com/a b', 'segments'],
    ['https://broker.example.com/ä', 'segments'],
    ['https://broker.example.com/%zz', 'segments'],
    ['https://broker.example.com/a\\b', 'segments'],
    ['https://broker.example.com/.', 'dot segments'],
    ['https://broker.example.com/a/../b', 'dot segments'],
    ['https://broker.example.com/a/%2e%2E/b', 'dot segments'],
    ['https://broker.example.com/a/.%2e', 'dot segments'],
    ['https://broker.example.com/a%2fb', 'dot segments'],
    ['https://broker.example.com/a%5Cb', 'dot segments'],
    ['https://broker.example.com/a%00b', 'dot segments'],
    ['https://*.example.com', 'host name'],
    ['https://broker_1.example.com', 'host name'],
    ['https://broker.example.com.', 'host name'],
    ['https://a..b', 'host name'],
    [`${LONGEST}a`, '255'],
  ])('%j is refused', (issuer, expected) => {
    expect(complaint(() => parseIssuer(issuer))).toContain(expected)
  })

  test.each([
    ['https://Broker.Example.com', 'https://broker.example.com'],
    ['https:///broker.example.com', 'https://broker.example.com'],
    ['HTTPS://broker.example.com', 'https://broker.example.com'],
    ['https://broker.example.com:443', 'https://broker.example.com'],
    ['https://broker.example.com:08443/A', 'https://broker.example.com:8443/A'],
    ['http://127.1:8091', 'http://127.0.0.1:8091'],
    ['http://0x7f000001', 'http://127.0.0.1'],
    ['http://[0:0::1]', 'http://[::1]'],
    ['https://bücher.example', 'https://xn--bcher-kva.example'],
    ['https://broker.example.com\n', 'https://broker.example.com'],
    [' https://broker.example.com', 'https://broker.example.com'],
    ['https://bro\tker.example.com', 'https://broker.example.com'],
  ])('%j is refused, and the form to write is named', (issuer, canonical) => {
    expect(complaint(() => parseIssuer(issuer))).toBe(
      `the exact form clouds compare byte for byte; write ${canonical}`,
    )
  })
})

describe("a service's URL", () => {
  test.each([
    ['http://127.0.0.1:8090', 'http://127.0.0.1:8090'],
    ['http://127.0.0.1:8090//', 'http://127.0.0.1:8090'],
    ['https://Backend.example.com/base/', 'https://backend.example.com/base'],
  ])('%s', (text, url) => {
    expect(parseServiceUrl(text)).toBe(url)
  })

  test.each([
    [''],
    ['backend'],
    ['http:backend'],
    ['http:\\\\backend'],
    ['file:///etc/passwd'],
    ['http://ann:pw@b'],
    ['http://b?x'],
    ['http://b#x'],
    ['http://b\n'],
    ['http:// b'],
    ['http://b:99999'],
  ])('%j is refused', (text) => {
    expect(complaint(() => parseServiceUrl(text))).toContain('an http or https URL')
  })

  test('is in clear over http, unless it never leaves this machine', () => {
    const urls = [
      'http://b',
      'http://10.0.0.1',
      'https://b',
      'http://127.0.0.1',
      'http://[::1]:1',
      'http://localhost',
    ]
    expect(urls.map(crossesInClear)).toEqual([true, true, false, false, false, false])
  })

  test('means the same however often one was asked about', () => {
    // Node 20's URL.canParse goes wrong on Latin-1 letters once it was compiled, after some six thousand calls.
    const form = 'the exact form clouds compare byte for byte; write https://xn--bcher-kva.example'
    const told = Array.from({ length: 20_000 }, () => complaint(() => parseIssuer('https://bücher.example')))
    expect(new Set(told)).toEqual(new Set([form]))
  })
})
