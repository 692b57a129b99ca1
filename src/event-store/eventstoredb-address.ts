// The connection string of an EventStoreDB ledger, read strictly. No message here repeats any part of it that could
// hold the password.

/** What `esdb://user:password@host:port,host:port?option=value` says. */
export interface Address {
  /** Without user and password: given to the client, which prints its connection string under DEBUG=esdb:*. */
  clientUrl: string
  /** For people: scheme and hosts. */
  name: string
  credentials: Credentials
  appendTimeoutMs: number
}

export interface Credentials {
  username: string
  password: string
}

const SHAPE = /^(?<scheme>esdb(?:\+discover)?):\/\/(?<authority>[^/?#]*)\/?(?:\?(?<query>[^#]*))?$/
const HOST = /^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?$/
const DEFAULT_APPEND_TIMEOUT_MS = 10_000

/** Throws an Error that says what is wrong and what was expected. */
export function parseAddress(url: string): Address {
  const { scheme, authority, query } = SHAPE.exec(url)?.groups ?? {}
  if (!scheme || authority === undefined)
    throw new Error('the ledger URL must be esdb://user:password@host:port?options')
  const at = authority.lastIndexOf('@')
  const hosts = authority.slice(at + 1)
  if (!hosts.split(',').every((host) => HOST.test(host)))
    throw new Error('the ledger URL must name hosts as host:port, separated by commas')
  const { options, tls, appendTimeoutMs } = parseOptions(query ?? '')
  return {
    // The client refuses a question mark that nothing follows.
    clientUrl: [`${scheme}://${hosts}`, ...(options.length > 0 ? [options.join('&')] : [])].join('?'),
    name: `${scheme}://${hosts}`,
    credentials: credentialsFor(at < 0 ? undefined : authority.slice(0, at), tls),
    appendTimeoutMs,
  }
}

/**
 * Every append carries credentials: that alone makes the client use the plain Append call instead of BatchAppend,
 * which can hang for ever and take the process down. Without TLS the client never sends them, so any pair will do.
 */
function credentialsFor(userInfo: string | undefined, tls: boolean): Credentials {
  const [, username, password] = /^([^:]+):(.+)$/s.exec(userInfo ?? '') ?? []
  if (username && password) return hidden(decoded(username), decoded(password))
  if (userInfo !== undefined) throw new Error('the ledger URL must give user and password as user:password@')
  if (tls) throw new Error('the ledger URL must name a user and a password, or say tls=false')
  return hidden('none', 'none')
}

/** The client prints the options of every call under DEBUG=esdb:*: what is not enumerable is not printed. */
function hidden(username: string, password: string): Credentials {
  const credentials = { username } as Credentials
  Object.defineProperty(credentials, 'password', { value: password })
  return credentials
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw new Error('user and password in the ledger URL must be percent-encoded UTF-8', { cause })
  }
}

type OptionCheck = (value: string) => string | undefined

const flag: OptionCheck = (value) => (/^(?:true|false)$/.test(value) ? undefined : 'true or false')
const count: OptionCheck = (value) => (/^[1-9]\d{0,8}$/.test(value) ? undefined : 'a positive whole number')
const any: OptionCheck = (value) => (value === '' ? 'a value' : undefined)

/** The client's own options, by their flat lower-case name: it takes them in any spelling, and unknown ones silently. */
const OPTIONS: Record<string, OptionCheck> = {
  tls: flag,
  tlscafile: any,
  usercertfile: any,
  userkeyfile: any,
  connectionname: any,
  nodepreference: (value) =>
    /^(?:leader|follower|random|read_?only_?replica)$/i.test(value)
      ? undefined
      : 'leader, follower, random or readOnlyReplica',
  maxdiscoverattempts: count,
  discoveryinterval: count,
  gossiptimeout: count,
  defaultdeadline: count,
  // Never off: a subscription to a peer that froze is noticed by nothing else.
  keepaliveinterval: count,
  keepalivetimeout: count,
}

function parseOptions(query: string): { options: string[]; tls: boolean; appendTimeoutMs: number } {
  const options = query.split('&').filter((option) => option !== '')
  let tls = true
  let appendTimeoutMs = DEFAULT_APPEND_TIMEOUT_MS
  for (const option of options) {
    const [, name = option, value = ''] = /^([^=]*)=(.*)$/s.exec(option) ?? []
    const flat = name.toLowerCase().replace(/[_-]/g, '')
    if (flat === 'tlsverifycert')
      throw new Error('the ledger URL must not say tlsVerifyCert: name the CA with tlsCAFile')
    const check = Object.hasOwn(OPTIONS, flat) ? OPTIONS[flat] : undefined
    if (!check) throw new Error('the ledger URL has an option that is not known: see docs/eventstoredb.md')
    const expected = check(value)
    if (expected) throw new Error(`${name} in the ledger URL must be ${expected}`)
    if (flat === 'tls') tls = value === 'true'
    if (flat === 'defaultdeadline') appendTimeoutMs = Number(value)
  }
  return { options, tls, appendTimeoutMs }
}
