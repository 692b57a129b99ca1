// Which URLs a bearer may be sent to. A file of its own: a command that finds its answer in the cache loads no HTTP.

import { ClientError } from './errors.js'

/** The URL of a broker, or throws ClientError: https, or http to a loopback address; a path prefix is allowed. */
export function parseBrokerUrl(text: string): URL {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new ClientError('invalid_url', 'the broker URL is not a URL')
  }
  if (url.username || url.password)
    throw new ClientError('invalid_url', 'the broker URL must hold no password')
  if (url.search || url.hash)
    throw new ClientError('invalid_url', 'the broker URL must have no query and no fragment')
  const plain = url.protocol === 'http:' && isLoopbackName(url.hostname)
  if (url.protocol !== 'https:' && !plain)
    throw new ClientError('invalid_url', 'a bearer may only be sent over https, or to a loopback address')
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return url
}

export function isLoopbackName(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname)
}
