// The URLs an operator may give: the issuer, which others compare byte for byte, and services the broker calls.

import { parseUrl } from '../domain/ledger/encoding.js'
import { isHostName, isLoopback } from './address.js'
import { InvalidSettingError } from './environment.js'

/** A service's base URL, without a trailing slash. Credentials have no place in it: it is shown in logs and in the ledger. */
export function parseServiceUrl(text: string): string {
  const form = 'an http or https URL without user, query and fragment, such as http://127.0.0.1:8090'
  const url = /^https?:\/\/[^\s\\?#@]+$/.test(text) ? parseUrl(text) : undefined
  if (!url) throw new InvalidSettingError(form, 'correct it')
  return url.href.replace(/\/+$/, '')
}

/** Whether what is sent to `url` can be read on the way. */
export function crossesInClear(url: string): boolean {
  return new URL(url).protocol === 'http:' && !isOnLoopback(url)
}

export function isOnLoopback(url: string): boolean {
  return isLoopback(withoutBrackets(new URL(url).hostname))
}

/** AWS takes no longer one. */
const MOST_ISSUER_CHARS = 255

/**
 * The issuer as it will stand in every token and as cloud accounts register it. They compare bytes, so anything a URL
 * parser would write differently is refused with the form it would write; only one trailing slash is taken off.
 */
export function parseIssuer(text: string): string {
  const issuer = text.replace(/\/$/, '')
  const [, scheme, authority, path] = /^([^:/?#]+):\/\/([^/?#\\]*)([^?#]*)/.exec(issuer) ?? []
  if (scheme === undefined || authority === undefined || path === undefined) {
    throw unfit('a URL with its scheme')
  }
  if (authority.includes('@')) throw unfit('a URL without user and password')
  if (/[?#]/.test(issuer)) throw unfit('a URL without query and fragment')
  const url = parseUrl(issuer)
  if (!url) throw unfit('a URL')
  checkHost(url)
  checkPath(path)
  const canonical = url.href.replace(/\/$/, '')
  if (issuer !== canonical)
    throw new InvalidSettingError('the exact form clouds compare byte for byte', `write ${canonical}`)
  if (issuer.length > MOST_ISSUER_CHARS) throw unfit(`at most ${MOST_ISSUER_CHARS} characters`)
  return issuer
}

function checkHost({ protocol, hostname }: URL): void {
  const isIp = hostname.startsWith('[') || /^\d+(?:\.\d+){3}$/.test(hostname)
  if (!isIp && !isHostName(hostname)) throw unfit('a URL with a host name or an IP address')
  if (protocol === 'https:') return
  if (protocol !== 'http:') throw unfit('an https URL')
  if (!isLoopback(withoutBrackets(hostname))) {
    throw new InvalidSettingError(
      'an https URL (http only for a loopback host)',
      'let a proxy end TLS and name its https URL',
    )
  }
}

const SEGMENT = /^(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+$/

/** Proxies disagree on what empty, dotted and doubly meaning segments are: `/a//b`, `/..`, `/%2e`, `/a%2fb`. */
function checkPath(path: string): void {
  for (const segment of path.split('/').slice(1)) {
    if (!SEGMENT.test(segment)) throw unfit('a path of plain or percent-encoded segments, none of them empty')
    const meant = segment.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for
    if (meant === '.' || meant === '..' || /[/\\\x00-\x1f\x7f]/.test(meant)) {
      throw unfit('a path without dot segments and encoded slashes')
    }
  }
}

function unfit(expected: string): InvalidSettingError {
  return new InvalidSettingError(expected, 'write it like https://broker.example.com')
}

function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '')
}
