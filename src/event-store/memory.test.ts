import { eventStoreContract } from '../../test/contract/event-store.contract.js'
import { MemoryEventStore } from './memory.js'

eventStoreContract('memory', () => {
  const store = new MemoryEventStore()
  return Promise.resolve({ open: () => Promise.resolve(store), dispose: () => Promise.resolve() })
})
