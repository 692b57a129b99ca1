// The connection string of an EventStoreDB ledger, read strictly. No message here repeats any part of it that could
// hold the password.

/** What `esdb://user:password@host:port,host:port?option=value` says. */
export interface Address {
  /** Without user and password: given to the client, which prints its connection string under DEBUG=esdb:*. */
  clientUrl: string
  /** For people: scheme and hosts. */
  name: string
  hosts: readonly Host[]
  /** The files the URL names; undefined without TLS. */
  tls: TlsFiles | undefined
  credentials: Credentials
  appendTimeoutMs: number
}

export interface Host {
  name: string
  port: number
}

export interface TlsFiles {
  ca: string | undefined
  certificate: string | undefined
  key: string | undefined
}

export interface Credentials {
  username: string
  password: string
}

/** The URL is not one to keep a ledger behind: it must `rule`. */
export class InvalidConnectionString extends Error {
  constructor(
    readonly rule: string,
    options?: ErrorOptions,
  ) {
    super(`the ledger URL must ${rule}`, options)
    this.name = 'WrongAddress'
  }
}

const SHAPE = /^(?<scheme>esdb(?:\+discover)?):\/\/(?<authority>[^/?#]*)\/?(?:\?(?<query>[^#]*))?$/
/** Underscores are in no Internet host's name, but in those of containers. */
const HOST = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?::\d{1,5})?$/
/** Stricter than necessary, so that code that prints a URL can rely on it: all before its first @ is user and password. */
const USER_INFO = /^(?<user>(?:[^\s:@%]|%[0-9A-Fa-f]{2})+):(?<password>(?:[^\s:@%]|%[0-9A-Fa-f]{2})+)$/
export const DEFAULT_APPEND_TIMEOUT_MS = 5_000
/** Shorter than the sequencer's timeout (ledger/sequencer.ts), so the store reports its own timeout first. */
export const MAX_APPEND_TIMEOUT_MS = 6_000

/** Throws WrongAddress. */
export function parseAddress(url: string): Address {
  const { scheme, authority, query } = SHAPE.exec(url)?.groups ?? {}
  if (!scheme || authority === undefined)
    throw new InvalidConnectionString('be esdb://user:password@host:port?options')
  const at = authority.lastIndexOf('@')
  const hosts = authority.slice(at + 1)
  if (!hosts.split(',').every((host) => HOST.test(host)))
    throw new InvalidConnectionString('name hosts as host:port, separated by commas')
  // The client would use the first and say nothing of the others.
  if (scheme === 'esdb+discover' && hosts.includes(','))
    throw new InvalidConnectionString(
      'name one host with esdb+discover, whose DNS name stands for all; list several with esdb://',
    )
  const name = `${scheme}://${hosts}`
  const { tls, appendTimeoutMs } = parseOptions(query)
  return {
    clientUrl: query === undefined ? name : `${name}?${query}`,
    name,
    hosts: hosts.split(',').map(parseHost),
    tls,
    credentials: credentialsFor(at < 0 ? undefined : authority.slice(0, at), tls !== undefined),
    appendTimeoutMs,
  }
}

function parseHost(text: string): Host {
  const [name = '', port = '2113'] = text.split(':')
  return { name, port: Number(port) }
}

/**
 * Every append carries credentials: that alone makes the client use the plain Append call instead of BatchAppend,
 * which can hang for ever and take the process down. Without TLS the client never sends them, so any pair will do.
 */
function credentialsFor(userInfo: string | undefined, tls: boolean): Credentials {
  if (userInfo === undefined) {
    if (tls) throw new InvalidConnectionString('name a user and a password, or say tls=false')
    return nonEnumerable('none', 'none')
  }
  const { user, password } = USER_INFO.exec(userInfo)?.groups ?? {}
  if (!user || !password)
    throw new InvalidConnectionString('give user and password as user:password@, percent-encoded')
  return nonEnumerable(decoded(user, 'user and password'), decoded(password, 'user and password'))
}

/** The client prints the options of every call under DEBUG=esdb:*: what is not enumerable is not printed. */
function nonEnumerable(username: string, password: string): Credentials {
  const credentials = { username } as Credentials
  Object.defineProperty(credentials, 'password', { value: password })
  return credentials
}

function decoded(text: string, what: string): string {
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw new InvalidConnectionString(`have ${what} percent-encoded, in UTF-8`, { cause })
  }
}

interface Option {
  fits: (value: string) => boolean
  expected: string
}

const matching = (form: RegExp, expected: string): Option => ({ fits: (value) => form.test(value), expected })
const FLAG = matching(/^(?:true|false)$/, 'true or false')
const COUNT = matching(/^[1-9]\d{0,8}$/, 'a positive whole number')
const TEXT = matching(/^[^\s?=]+$/, 'a text, percent-encoded')
const NODE = matching(
  /^(?:leader|follower|random|read_?only_?replica)$/i,
  'leader, follower, random or readOnlyReplica',
)
const APPEND_TIMEOUT: Option = {
  fits: (value) => COUNT.fits(value) && Number(value) <= MAX_APPEND_TIMEOUT_MS,
  expected: `milliseconds, 1 to ${MAX_APPEND_TIMEOUT_MS}`,
}

/** The client's own options, by their flat lower-case name: it takes them in any spelling, and unknown ones silently. */
const OPTIONS: Record<string, Option> = {
  tls: FLAG,
  tlscafile: TEXT,
  usercertfile: TEXT,
  userkeyfile: TEXT,
  connectionname: TEXT,
  nodepreference: NODE,
  maxdiscoverattempts: COUNT,
  discoveryinterval: COUNT,
  gossiptimeout: COUNT,
  defaultdeadline: APPEND_TIMEOUT,
  // Never off: a subscription to a peer that froze is noticed by nothing else.
  keepaliveinterval: COUNT,
  keepalivetimeout: COUNT,
}

function parseOptions(query: string | undefined): Pick<Address, 'tls' | 'appendTimeoutMs'> {
  const said = new Map(query?.split('&').map(parseOption))
  if (said.has('usercertfile') !== said.has('userkeyfile'))
    throw new InvalidConnectionString('name userCertFile and userKeyFile together')
  return {
    tls:
      said.get('tls') === 'false'
        ? undefined
        : { ca: said.get('tlscafile'), certificate: said.get('usercertfile'), key: said.get('userkeyfile') },
    appendTimeoutMs: Number(said.get('defaultdeadline') ?? DEFAULT_APPEND_TIMEOUT_MS),
  }
}

function parseOption(text: string): [flatName: string, value: string] {
  const [, name = text, value = ''] = /^([^=]*)=(.*)$/s.exec(text) ?? []
  const flat = name.toLowerCase().replace(/[_-]/g, '')
  if (flat === 'tlsverifycert')
    throw new InvalidConnectionString('not say tlsVerifyCert: name the CA with tlsCAFile')
  const option = Object.hasOwn(OPTIONS, flat) ? OPTIONS[flat] : undefined
  if (!option) throw new InvalidConnectionString('have no option that is not known: see docs/eventstoredb.md')
  if (!option.fits(value)) throw new InvalidConnectionString(`give ${name} as ${option.expected}`)
  return [flat, decoded(value, name)]
}
