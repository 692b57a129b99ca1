import { expect, test } from '@jest/globals'

import { LedgerBuilder } from '../../test/support/ledger-builder.js'
import { project } from '../../test/support/project.js'
import { refusals } from './refusals.js'

test('each reason of each count is a row', () => {
  const [since, until] = ['2026-11-20T11:59:00.000Z', '2026-11-20T12:00:00.000Z']
  const ledger = LedgerBuilder.opened().oidcMint()
  ledger.refusalsCounted({ since, until, counts: { unauthorized: 3, 'backend-unreachable': 1 } })
  ledger.refusalsCounted({ since, until, counts: { unauthorized: 2 } })

  const db = project(refusals, ledger.entries)
  expect(db.prepare('SELECT * FROM refusals ORDER BY entry_index, count').all()).toEqual([
    { entry_index: 6, reason: 'backend-unreachable', since, until, count: 1 },
    { entry_index: 6, reason: 'unauthorized', since, until, count: 3 },
    { entry_index: 7, reason: 'unauthorized', since, until, count: 2 },
  ])
  db.close()
})
