// What the metadata of the ledger's stream says: an administrator may write it at any time, and it must neither hide
// entries nor give anybody else the right to.

import { membersOf } from '../../domain/ledger/stored-event.js'
import { StoreError } from '../event-store.js'
import type { FoundEvent } from './event.js'
import { UNHIDE } from './errors.js'

/** What an event of the metastream says about truncation: every one of these hides entries, at once or later. */
export function truncation({ data }: Pick<FoundEvent, 'data'>): StoreError | undefined {
  const members = membersOf(data)
  const said = ['$tb', '$maxCount', '$maxAge'].filter((name) => members[name] !== undefined)
  if (said.length === 0) return undefined
  const which = said.map((name) => `${name} ${String(members[name])}`).join(', ')
  return new StoreError(
    'refused',
    `the ledger stream is truncated or soft-deleted, or will be: its metadata says ${which}; ${UNHIDE}`,
  )
}

/**
 * What an `$acl` of the stream's own gives to others than administrators: `$d to somebody`. It overrides the default ACL,
 * and a probe of another stream shows nothing of it.
 */
export function grantsOf(metadata: unknown): string[] {
  const { $acl } = membersOf(metadata)
  const acl = membersOf($acl)
  return ['$d', '$mw']
    .filter((right) => acl[right] !== undefined)
    .flatMap((right) => [acl[right]].flat().map((role) => ({ right, role })))
    .filter(({ role }) => role !== '$admins')
    .map(({ right, role }) => `${right} to ${String(role)}`)
}

export function ownAclProblem(stream: string, grants: readonly string[]): string {
  return (
    `the ledger stream has an $acl of its own that gives ${grants.join(' and ')}: ` +
    `an administrator takes it out of the metadata of ${stream}`
  )
}
