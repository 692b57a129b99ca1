// What is cut off now, and since when. What was restored is in the entries only.

import type { CutOffTarget } from '../domain/ledger/events.js'
import type { Projection } from './projection.js'

export interface CutOffRow extends CutOffTarget {
  reason: string | null
  entry_index: number
  since: string
}

export const cutOffs: Projection = {
  schema: `
    CREATE TABLE cut_offs (
      kind TEXT NOT NULL,
      target TEXT NOT NULL,
      reason TEXT,
      entry_index INTEGER NOT NULL,
      since TEXT NOT NULL,
      PRIMARY KEY (kind, target)
    ) STRICT, WITHOUT ROWID;
  `,
  prepare(db) {
    const add = db.prepare(`
      INSERT INTO cut_offs VALUES (@kind, @target, @reason, @index, @time)
      ON CONFLICT DO UPDATE SET reason = excluded.reason, entry_index = excluded.entry_index, since = excluded.since`)
    const remove = db.prepare('DELETE FROM cut_offs WHERE kind = @kind AND target = @target')
    return ({ type, data, index, time }) => {
      if (type === 'AccessCutOff') add.run({ reason: null, ...data, index, time })
      else if (type === 'AccessRestored') remove.run(data)
    }
  },
}
