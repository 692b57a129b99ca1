import { randomUUID } from 'node:crypto'

import { describe, test } from '@jest/globals'

import { eventStoreContract } from '../../test/contract/event-store.contract.js'
import { StandIn } from '../../test/support/eventstoredb/stand-in.js'
import { EventStoreDbEventStore } from './eventstoredb.js'

eventStoreContract('eventstoredb, the stand-in', async () => {
  const standIn = await new StandIn().start()
  return {
    open: () =>
      Promise.resolve(new EventStoreDbEventStore(standIn.url, { stream: 'agentkeys-ledger', node: 'n1' })),
    dispose: () => standIn.dispose(),
  }
})

// The stand-in is our reading of the server. Where a real one is at hand, it is asked too.
const { ESDB_URL } = process.env
if (ESDB_URL) {
  eventStoreContract('eventstoredb, a real server', () => {
    const stream = `contract-${randomUUID()}`
    return Promise.resolve({
      open: () => Promise.resolve(new EventStoreDbEventStore(ESDB_URL, { stream, node: 'n1' })),
      dispose: () => Promise.resolve(),
    })
  })
} else
  describe('the event-store contract: eventstoredb, a real server', () => {
    test.skip('not asked: ESDB_URL is not set', () => {})
  })
