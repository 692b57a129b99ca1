// One projection over given entries, without a projector: what a unit test of a projection needs.

import Sqlite from 'better-sqlite3'

import type { Sealed } from '../../src/domain/ledger/entry.js'
import type { Projection, Recorded } from '../../src/projections/projection.js'

/** The tables that `projection` makes of `entries`. In memory; close it. */
export function project(projection: Projection, entries: readonly Sealed[]): Sqlite.Database {
  const db = new Sqlite(':memory:')
  db.exec(projection.schema)
  const apply = projection.prepare(db)
  for (const { entry } of entries) apply(entry as unknown as Recorded)
  return db
}

/** Every row of every table and view of a read-model file, so that two files can be compared whole. */
export function dump(path: string): Record<string, unknown[]> {
  const db = new Sqlite(path, { readonly: true })
  try {
    const names = db.prepare<[], { name: string }>(
      "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name",
    )
    return Object.fromEntries(
      names.all().map(({ name }) => [name, db.prepare(`SELECT * FROM "${name}" ORDER BY 1, 2`).all()]),
    )
  } finally {
    db.close()
  }
}
