// The tables of the ledger file, and the triggers that make them append-only.

import Sqlite from 'better-sqlite3'

// The table is append-only for every writer: idx is the primary key and only the next one is taken, so two
// processes cannot both extend it (INSERT OR REPLACE included), and no row changes or goes.
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS ledger (idx INTEGER PRIMARY KEY CHECK (idx >= 0), entry TEXT NOT NULL) STRICT;
  CREATE TRIGGER IF NOT EXISTS ledger_only_next BEFORE INSERT ON ledger
    WHEN NEW.idx <> (SELECT coalesce(max(idx) + 1, 0) FROM ledger)
    BEGIN SELECT RAISE(ABORT, 'only the next index may be appended'); END;
  CREATE TRIGGER IF NOT EXISTS ledger_no_update BEFORE UPDATE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
  CREATE TRIGGER IF NOT EXISTS ledger_no_delete BEFORE DELETE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
  CREATE TABLE IF NOT EXISTS signed_heads (idx INTEGER PRIMARY KEY CHECK (idx >= 0), signature TEXT NOT NULL) STRICT;
  CREATE TRIGGER IF NOT EXISTS signed_heads_only_last BEFORE INSERT ON signed_heads
    WHEN NEW.idx <> (SELECT coalesce(max(idx), -1) FROM ledger)
    BEGIN SELECT RAISE(ABORT, 'a signature is written with its entry'); END;
  CREATE TRIGGER IF NOT EXISTS signed_heads_no_update BEFORE UPDATE ON signed_heads
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
  CREATE TRIGGER IF NOT EXISTS signed_heads_no_delete BEFORE DELETE ON signed_heads
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
`

/**
 * Makes what is missing. Returns the triggers that a table has lost since it was made, or has others in place of: no broker
 * drops one, so they are made again and reported.
 */
export function prepareLedgerTables(db: Sqlite.Database): string[] {
  const present = new Map(triggersOf(db).map(({ name, sql }) => [name, sql]))
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all()
  const lost = expectedTriggers().filter(
    ({ name, table, sql }) => tables.includes(table) && present.get(name) !== sql,
  )
  for (const { name } of lost) db.exec(`DROP TRIGGER IF EXISTS ${name}`)
  db.exec(SCHEMA)
  return lost.map(({ name }) => name)
}

interface Trigger {
  name: string
  table: string
  sql: string
}

function triggersOf(db: Sqlite.Database): Trigger[] {
  const triggers = 'SELECT name, tbl_name AS "table", sql FROM sqlite_schema WHERE type = \'trigger\''
  return db.prepare<[], Trigger>(triggers).all()
}

/** As SQLite keeps them, whatever the text above looks like. */
function expectedTriggers(): Trigger[] {
  const fresh = new Sqlite(':memory:')
  try {
    fresh.exec(SCHEMA)
    return triggersOf(fresh)
  } finally {
    fresh.close()
  }
}
