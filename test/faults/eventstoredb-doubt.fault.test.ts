// An append in doubt whose place is then held by another append that is not committed: a conflict, and nothing to read.
// The doubt is not over with that.

import { expect, test } from '@jest/globals'

import { eventId } from '../../src/event-store/eventstoredb/event.js'
import { entriesFrom } from '../contract/event-store.contract.js'
import { appendUntilSettled, asEvent, openStore, STREAM } from '../support/eventstoredb/ledger.js'
import { StandIn } from '../support/eventstoredb/stand-in.js'
import { until } from '../support/until.js'

test('what is confirmed later is still compared with what was sent, since the server compares ids alone', async () => {
  const standIn = await new StandIn().start()
  const [store, another] = [openStore(standIn.url, { patienceMs: 3_000 }), openStore(standIn.url)]
  const entries = entriesFrom(undefined, 6)
  const [first, second] = [entries.slice(0, 3), entries.slice(3)]
  await appendUntilSettled(store, first, 0)
  standIn.appends.next('swallow')
  await expect(store.append(second, 3)).rejects.toMatchObject({ code: 'unknown' })

  const { commits } = standIn.database
  commits.pause()
  const theirs = another.append(entriesFrom(first[2], 2, 'another'), 3).catch((error: unknown) => error)
  await until(() => commits.waiting(STREAM) !== undefined)
  await expect(store.append(second, 3)).rejects.toMatchObject({ code: 'conflict' })
  commits.abort()
  expect(await theirs).toMatchObject({ code: 'unknown' })

  const ours = second.map(({ text, leafHash }) => ({ ...asEvent(text), id: eventId(leafHash) }))
  standIn.database.append(STREAM, 2n, ours)
  standIn.database.overwrite(STREAM, 4, { data: Buffer.from('{"forged":true}') })
  await expect(store.append(second, 3)).rejects.toMatchObject({
    code: 'refused',
    message: expect.stringMatching(/^EventStoreDB confirmed the append but holds other entries/),
  })
  await Promise.all([store.close(), another.close()])
  await standIn.dispose()
})
