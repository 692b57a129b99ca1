// An esdb:// URL, read strictly: the client takes options it does not know with a warning that holds the whole URL. No
// message here repeats any part of it.

import { UsageError } from '../usage-error.js'

export interface EsdbAddress {
  /** Without user and password: the client prints it under DEBUG=esdb:*. */
  clientUrl: string
  /** For people: scheme and hosts. */
  name: string
  credentials: EsdbCredentials | undefined
}

export interface EsdbCredentials {
  username: string
  password: string
}

const SHAPE = /^(?<scheme>esdb(?:\+discover)?):\/\/(?<authority>[^/?#]*)\/?(?:\?(?<query>[^#]*))?$/
const HOST = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?::\d{1,5})?$/

const COUNT = /^[1-9]\d{0,8}$/
/** By their flat name, as the client has them. Those for writing are left out, and tlsVerifyCert, which it ignores. */
const OPTIONS: Readonly<Record<string, RegExp>> = {
  tls: /^(?:true|false)$/,
  tlscafile: /./,
  usercertfile: /./,
  userkeyfile: /./,
  connectionname: /./,
  nodepreference: /^(?:leader|follower|random|readonlyreplica)$/i,
  maxdiscoverattempts: COUNT,
  discoveryinterval: COUNT,
  gossiptimeout: COUNT,
  defaultdeadline: COUNT,
  keepaliveinterval: COUNT,
  keepalivetimeout: COUNT,
}

/** Throws UsageError. */
export function parseEsdbAddress(url: string): EsdbAddress {
  const { scheme, authority = '', query = '' } = SHAPE.exec(url)?.groups ?? {}
  if (scheme === undefined) throw new UsageError('SOURCE must be esdb://HOST:PORT?OPTIONS')
  const at = authority.lastIndexOf('@')
  const hosts = authority.slice(at + 1)
  if (!hosts.split(',').every((host) => HOST.test(host)))
    throw new UsageError('SOURCE esdb: must name hosts as HOST:PORT, separated by commas')
  const options = query.split('&').filter((option) => option !== '')
  for (const option of options) checkOption(option)
  const name = `${scheme}://${hosts}`
  return {
    clientUrl: options.length === 0 ? name : `${name}?${options.join('&')}`,
    name,
    credentials: at < 0 ? undefined : credentialsOf(authority.slice(0, at)),
  }
}

function checkOption(option: string): void {
  const [, name = '', value = ''] = /^([^=]*)=(.*)$/.exec(option) ?? []
  const flat = name.toLowerCase().replace(/[_-]/g, '')
  const form = Object.hasOwn(OPTIONS, flat) ? OPTIONS[flat] : undefined
  if (!form) throw new UsageError('SOURCE esdb: has an option that is not known: see docs/eventstoredb.md')
  if (!form.test(value)) throw new UsageError(`SOURCE esdb: the value of its option ${flat} is malformed`)
}

function credentialsOf(userInfo: string): EsdbCredentials {
  const [, username, password] = /^([^:]+):([^:]+)$/.exec(userInfo) ?? []
  if (username === undefined || password === undefined)
    throw new UsageError('SOURCE env:NAME: user and password must stand before the host as USER:PASSWORD@')
  try {
    const credentials = { username: decodeURIComponent(username) } as EsdbCredentials
    // The client prints the options of each call under DEBUG=esdb:*, and what is not enumerable is not printed.
    Object.defineProperty(credentials, 'password', { value: decodeURIComponent(password) })
    return credentials
  } catch (cause) {
    throw new UsageError('SOURCE esdb: user and password must be percent-encoded UTF-8', { cause })
  }
}
