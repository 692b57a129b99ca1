// Requests that never had a valid session, as the ledger counts them: one row for each reason of each minute's entry.

import type { Projection } from './projection.js'

export const refusals: Projection = {
  schema: `
    CREATE TABLE refusals (
      entry_index INTEGER NOT NULL,
      reason TEXT NOT NULL,
      since TEXT NOT NULL,
      until TEXT NOT NULL,
      count INTEGER NOT NULL,
      PRIMARY KEY (entry_index, reason)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX refusals_by_time ON refusals (until);
  `,
  prepare(db) {
    const insert = db.prepare('INSERT INTO refusals VALUES (@index, @reason, @since, @until, @count)')
    return ({ type, data, index }) => {
      if (type !== 'RefusalsCounted') return
      const { since, until, counts } = data
      for (const [reason, count] of Object.entries(counts)) insert.run({ index, reason, since, until, count })
    }
  },
}
