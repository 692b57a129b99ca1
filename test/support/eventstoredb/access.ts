// Who may do what on the stand-in: users with groups, and the ACLs of EventStoreDB. A node started without users is
// an insecure one: it checks nothing.

import type { Database } from './database.js'

export interface User {
  password: string
  groups: string[]
}

/** `$r` read, `$w` write, `$d` delete, `$mr` and `$mw` read and write the stream's metadata. */
export type Right = '$r' | '$w' | '$d' | '$mr' | '$mw'

export type Decision = 'granted' | 'unauthenticated' | 'denied'

type Acl = Partial<Record<Right, string | string[]>>

export class Access {
  constructor(
    private readonly database: Database,
    readonly users: Map<string, User> | undefined,
  ) {}

  /** `authorization` is the header as it came. `stream` may be a metastream, a system stream or `$all`. */
  decide(authorization: string | undefined, stream: string, right: '$r' | '$w' | '$d'): Decision {
    if (!this.users) return 'granted'
    const roles = this.rolesOf(authorization)
    if (!roles) return 'unauthenticated'
    // Administrators cannot be shut out by any ACL.
    if (roles.includes('$admins')) return 'granted'
    return this.allowed(stream, right).some((role) => role === '$all' || roles.includes(role))
      ? 'granted'
      : 'denied'
  }

  isAdmin(authorization: string | undefined): boolean {
    return !this.users || (this.rolesOf(authorization)?.includes('$admins') ?? false)
  }

  isKnown(authorization: string | undefined): boolean {
    return !this.users || this.rolesOf(authorization) !== undefined
  }

  private rolesOf(authorization: string | undefined): string[] | undefined {
    const [, base64] = /^Basic (.+)$/.exec(authorization ?? '') ?? []
    const [, name, password] = /^([^:]*):(.*)$/s.exec(Buffer.from(base64 ?? '', 'base64').toString()) ?? []
    const user = name === undefined ? undefined : this.users?.get(name)
    return user && user.password === password ? [name as string, ...user.groups] : undefined
  }

  private allowed(stream: string, right: '$r' | '$w' | '$d'): string[] {
    if (stream.startsWith('$$')) return this.rolesFor(stream.slice(2), METADATA_RIGHT[right])
    return this.rolesFor(stream, right)
  }

  /** The stream's own ACL wins, then the default of `$settings`, then the built-in one; each for each right. */
  private rolesFor(stream: string, right: Right): string[] {
    const system = stream.startsWith('$')
    const defaults = this.settings()[system ? '$systemStreamAcl' : '$userStreamAcl'] ?? {}
    const acl = this.database.metadata(stream).$acl as Acl | undefined
    const roles = acl?.[right] ?? defaults[right] ?? (system ? '$admins' : '$all')
    return typeof roles === 'string' ? [roles] : roles
  }

  private settings(): { $userStreamAcl?: Acl; $systemStreamAcl?: Acl } {
    const last = this.database
      .events('$settings')
      .filter(({ type }) => type === 'update-default-acl')
      .at(-1)
    return last ? (JSON.parse(Buffer.from(last.data).toString()) as object) : {}
  }
}

const METADATA_RIGHT = { $r: '$mr', $w: '$mw', $d: '$mw' } satisfies Record<'$r' | '$w' | '$d', Right>
