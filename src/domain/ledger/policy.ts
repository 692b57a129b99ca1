// C2SP tlog-policy: which logs are believed, and which of the witnesses must have cosigned.

import { formatVkey, type KeyType, type NoteKey, parseVkey } from './note.js'
import { encodeBase64, FormatError, parseDecimal, parseUrl, readText, type Source } from './encoding.js'

export interface PolicyLog {
  key: NoteKey
  url?: string
}

/** `name` is the policy's own word for the witness; the key has another. */
export interface PolicyWitness extends PolicyLog {
  name: string
}

/** Holds when that many of the members do: witnesses, or groups defined before it. */
export interface PolicyGroup {
  name: string
  threshold: 'all' | 'any' | number
  members: readonly string[]
}

export interface Policy {
  logs: readonly PolicyLog[]
  witnesses: readonly PolicyWitness[]
  /** In an order in which each is defined before it is used. */
  groups: readonly PolicyGroup[]
  /** A witness, a group, or `none`. */
  quorum: string
}

const NONE = 'none'
const LIMITS = { what: 'policy', maxBytes: 64 * 1024 }

/** Spaces, comments and the order of the lines are the writer's: this prints the policy without them. */
export function formatPolicy({ logs, witnesses, groups, quorum }: Policy): string {
  const lines = [
    ...logs.map(({ key, url }) => ['log', formatVkey(key), url]),
    ...witnesses.map(({ name, key, url }) => ['witness', name, formatVkey(key), url]),
    ...groups.map(({ name, threshold, members }) => ['group', name, threshold, ...members]),
    ['quorum', quorum],
  ]
  return lines.map((items) => `${items.filter((item) => item !== undefined).join(' ')}\n`).join('')
}

/** Whether the witnesses that cosigned, given by their vkeys, are enough. */
export function quorumMet(policy: Policy, cosigned: ReadonlySet<string>): boolean {
  if (policy.quorum === NONE) return true
  const holds = new Map(policy.witnesses.map(({ name, key }) => [name, cosigned.has(formatVkey(key))]))
  for (const group of policy.groups) {
    const met = group.members.filter((member) => holds.get(member)).length
    holds.set(group.name, met >= needed(group))
  }
  return holds.get(policy.quorum) ?? false
}

function needed({ threshold, members }: PolicyGroup): number {
  if (threshold === 'all') return members.length
  return threshold === 'any' ? 1 : threshold
}

/** Throws FormatError, which names the line. */
export function parsePolicy(source: Source): Policy {
  const text = readText(source, LIMITS, '\t')
  if (!text.endsWith('\n')) throw new FormatError('truncated', 'policy: the last line must end in LF')
  if (text.includes('\u007f'))
    throw new FormatError('not-text', 'policy: the character U+007F is not allowed')
  const draft = new Draft()
  for (const [i, line] of text.split('\n').entries()) {
    const items = line.split(/[ \t]+/).filter((item) => item !== '')
    const [keyword, ...rest] = items
    if (keyword !== undefined && !keyword.startsWith('#')) draft.add(keyword, rest, `policy line ${i + 1}`)
  }
  return draft.finished()
}

/** A policy, read up to some line. */
class Draft {
  private readonly logs: PolicyLog[] = []
  private readonly witnesses: PolicyWitness[] = []
  private readonly groups: PolicyGroup[] = []
  private quorum: string | undefined
  private readonly names = new Set([NONE])
  private readonly members = new Set<string>()
  private readonly publicKeys = new Set<string>()

  add(keyword: string, items: string[], where: string): void {
    switch (keyword) {
      case 'log':
        return this.addLog(items, where)
      case 'witness':
        return this.addWitness(items, where)
      case 'group':
        return this.addGroup(items, where)
      case 'quorum':
        return this.setQuorum(items, where)
      default:
        throw new FormatError('bad-line', `${where}: log, witness, group or quorum is expected`)
    }
  }

  finished(): Policy {
    const { logs, witnesses, groups, quorum } = this
    if (quorum === undefined) throw new FormatError('truncated', 'policy: there is no quorum line')
    return { logs, witnesses, groups, quorum }
  }

  private addLog([vkey, url, ...more]: string[], where: string): void {
    if (vkey === undefined || more.length > 0)
      throw new FormatError('bad-line', `${where}: log <vkey> [<url>]`)
    this.logs.push({ key: this.key('ed25519', vkey, where), ...link(url, where) })
  }

  private addWitness([name, vkey, url, ...more]: string[], where: string): void {
    if (name === undefined || vkey === undefined || more.length > 0) {
      throw new FormatError('bad-line', `${where}: witness <name> <vkey> [<url>]`)
    }
    this.define(name, where)
    this.witnesses.push({ name, key: this.key('cosignature', vkey, where), ...link(url, where) })
  }

  private addGroup([name, count, ...members]: string[], where: string): void {
    if (name === undefined || count === undefined || members.length === 0) {
      throw new FormatError('bad-line', `${where}: group <name> all|any|<k> <member>...`)
    }
    const threshold = count === 'all' || count === 'any' ? count : parseDecimal(count, `${where}, threshold`)
    if (threshold === 0 || (typeof threshold === 'number' && threshold > members.length)) {
      throw new FormatError(
        'bad-number',
        `${where}: the threshold must be between 1 and the number of members`,
      )
    }
    for (const member of members) {
      this.mustBeDefined(member, where)
      // A member of two groups would count twice towards the quorum.
      if (this.members.has(member))
        throw new FormatError('duplicate', `${where}: a name is a member only once`)
      this.members.add(member)
    }
    this.define(name, where)
    this.groups.push({ name, threshold, members })
  }

  private setQuorum([name, ...more]: string[], where: string): void {
    if (name === undefined || more.length > 0)
      throw new FormatError('bad-line', `${where}: quorum <name>|none`)
    if (this.quorum !== undefined)
      throw new FormatError('duplicate', `${where}: there is a quorum line already`)
    if (name !== NONE) this.mustBeDefined(name, where)
    this.quorum = name
  }

  private define(name: string, where: string): void {
    if (this.names.has(name)) throw new FormatError('duplicate', `${where}: the name is taken`)
    this.names.add(name)
  }

  private mustBeDefined(name: string, where: string): void {
    if (name === NONE || !this.names.has(name)) {
      throw new FormatError('unknown-name', `${where}: a name must be defined on a line before`)
    }
  }

  /** The same key under two names is one witness, whatever it is called. */
  private key(type: KeyType, vkey: string, where: string): NoteKey {
    const key = vkeyAt(vkey, where)
    if (key.type !== type)
      throw new FormatError('bad-key', `${where}: the key is not of the type for its role`)
    const entry = `${type} ${encodeBase64(key.publicKey)}`
    if (this.publicKeys.has(entry)) throw new FormatError('duplicate', `${where}: the key is listed already`)
    this.publicKeys.add(entry)
    return key
  }
}

function vkeyAt(vkey: string, where: string): NoteKey {
  try {
    return parseVkey(vkey)
  } catch (error) {
    throw error instanceof FormatError ? new FormatError(error.code, `${where}, ${error.message}`) : error
  }
}

function link(url: string | undefined, where: string): { url?: string } {
  if (url === undefined) return {}
  if (!/^https?:\/\//.test(url) || !parseUrl(url)) {
    throw new FormatError('bad-line', `${where}: the URL must begin with https:// or http://`)
  }
  return { url }
}
