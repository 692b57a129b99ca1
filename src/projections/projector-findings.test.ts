import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'

import { LedgerBuilder } from '../../test/support/ledger-builder.js'
import { dump } from '../../test/support/project.js'
import { entriesOf, Interrupted, memoryOf, Projecting } from '../../test/support/projecting.js'
import { canonicalize } from '../domain/ledger/canonical.js'
import { chain, type Sealed } from '../domain/ledger/entry.js'
import type { LedgerEvent } from '../domain/ledger/events.js'
import { type EventStore } from '../event-store/event-store.js'
import { MemoryEventStore } from '../event-store/memory.js'
import { ProjectorStopped } from './projector.js'
import { LedgerMismatch } from './same-ledger.js'

let projecting: Projecting
beforeEach(() => {
  projecting = new Projecting()
})
afterEach(() => projecting.end())

describe('a ledger that is not the one the read model was made of', () => {
  async function caughtUp(entries: readonly Sealed[]): Promise<void> {
    const { projector } = projecting.over(await memoryOf(entries))
    await projector.start()
    await projector.caughtUpTo(entries.length)
    await projector.stop()
  }

  async function refusalOf(store: EventStore): Promise<LedgerMismatch> {
    const { projector } = projecting.over(store)
    const error: unknown = await projector.start().then(
      () => undefined,
      (error: unknown) => error,
    )
    expect(error).toBeInstanceOf(LedgerMismatch)
    expect(projector.status()).toEqual({ ok: false, position: 0, reason: 'not started' })
    return error as LedgerMismatch
  }

  test('because its end was cut off is refused at start, with what is missing and what to do', async () => {
    const entries = entriesOf(100)
    await caughtUp(entries)
    const { finding, message } = await refusalOf(await memoryOf(entries.slice(0, 97)))
    expect([finding.kind, finding.index]).toEqual(['cut-off', 97])
    expect(message).toContain('has 97 entries, and the read model was made of 100')
    expect(message).toContain(`up to entry 99 with the leaf hash ${entries[99]?.leafHash}`)
    expect(message).toContain('restore the missing entries')
    expect(message).toContain(
      `If the read model ${projecting.path()} belongs to another ledger, move it away`,
    )
  })

  test('because it is empty is refused at start', async () => {
    await caughtUp(entriesOf(10))
    const { finding } = await refusalOf(new MemoryEventStore())
    expect([finding.kind, finding.index]).toEqual(['cut-off', 0])
  })

  test('because its last entry was replaced is refused at start, with both hashes', async () => {
    const entries = entriesOf(100)
    await caughtUp(entries)
    const event: LedgerEvent = {
      type: 'BrokerStarted',
      data: { node: 'evil', version: '1', configSha256: 'f'.repeat(64) },
    }
    const other = chain(entries[98], event, new Date())
    const { finding, message } = await refusalOf(await memoryOf([...entries.slice(0, 99), other]))
    expect([finding.kind, finding.index]).toEqual(['other-head', 99])
    expect(message).toContain(
      `entry 99 has the leaf hash ${other.leafHash}, and the read model was made of one with ${entries[99]?.leafHash}`,
    )
  })

  test('leaves the read model as it was: with the ledger restored, it goes on', async () => {
    const entries = entriesOf(100)
    await caughtUp(entries.slice(0, 50))
    const before = dump(projecting.path())
    await refusalOf(await memoryOf(entries.slice(0, 20)))
    expect(dump(projecting.path())).toEqual(before)
    await caughtUp(entries)
    expect(dump(projecting.path())).toEqual(await projecting.replayed(await memoryOf(entries)))
  })

  test('is found when the store comes back without its end, not only at start', async () => {
    const entries = entriesOf(100)
    const store = new Interrupted(await memoryOf(entries))
    const { projector, failed } = projecting.over(store)
    await projector.start()
    await projector.caughtUpTo(100)
    const found = failed()
    store.behind = await memoryOf(entries.slice(0, 42))
    store.interrupt()
    await found
    const status = projector.status()
    expect(status).toMatchObject({ ok: false, position: 100, finding: { kind: 'cut-off', index: 42 } })
  })
})

describe('an entry that is no entry, or does not follow', () => {
  const ledger = LedgerBuilder.opened().oidcMint().awsMint()
  const good = ledger.entries
  const [fourth, fifth] = [good[4] as Sealed, good[5] as Sealed]
  const at5 = (text: string): Sealed => ({ ...fifth, text })
  const forged = (change: object) => at5(canonicalize({ ...fifth.entry, ...change }))
  const BAD = [
    ['malformed', at5('{"data":'), 'not JSON'],
    ['malformed', at5(''), 'not JSON'],
    ['not-canonical', at5(`${fifth.text} `), 'RFC 8785'],
    ['too-large', forged({ data: { x: 'x'.repeat(70_000) } }), 'longer than 65535 bytes'],
    ['wrong-index', at5(fourth.text), 'index 4'],
    ['broken-link', forged({ prev: 'a'.repeat(64) }), `leaf hash ${fourth.leafHash}`],
    ['time-backwards', forged({ time: '2020-01-01T00:00:00.000Z' }), 'is before'],
    ['wrong-shape', forged({ data: { ...fifth.entry.data, wallet: '0xABC' } }), 'wallet must be'],
    ['wrong-shape', forged({ type: 'CredsMinted' }), 'CredsMinted: '],
  ] as const

  test.each(BAD)(
    '%s: stops the projector at that entry, with what came before it applied',
    async (kind, bad, detail) => {
      const store = await memoryOf([...good.slice(0, 5), bad, ...good.slice(6)])
      const { projector, keys, failed } = projecting.over(store)
      const found = failed()
      await projector.start()
      await found

      const status = projector.status()
      expect(status).toMatchObject({ ok: false, position: 5, finding: { index: 5, kind } })
      expect(status.ok ? '' : status.reason).toContain(`entry 5 of the ledger (${kind}): `)
      expect(status.ok ? '' : status.reason).toContain(detail)
      expect(keys.activeKid()).toBe(ledger.kid)
      await expect(projector.caughtUpTo(6)).rejects.toThrow(ProjectorStopped)
      await projector.stop()
      expect(dump(projecting.path())).toEqual(await projecting.replayed(await memoryOf(good.slice(0, 5))))
      expect(projector.status()).toMatchObject({ ok: false, finding: { index: 5, kind } })
    },
  )

  test('rejects those who wait for more than will come', async () => {
    const { projector } = projecting.over(await memoryOf([...good.slice(0, 5), at5('x')]))
    const waiting = projector.caughtUpTo(7)
    await projector.start()
    await expect(waiting).rejects.toThrow(ProjectorStopped)
  })

  test('an event of a type that only a later version knows is passed over', async () => {
    const later = { type: 'CoffeeBrewed', data: { cups: 2 } } as unknown as LedgerEvent
    const mint = ledger.mint()
    const seen = LedgerBuilder.opened().append(later).oidcMint(mint)
    const { projector } = projecting.over(await memoryOf(seen.entries))
    await projector.start()
    await projector.caughtUpTo(seen.entries.length)
    await projector.stop()
    expect(dump(projecting.path())['mints']).toMatchObject([
      { mint_id: mint.mintId, first_index: 5, last_index: 6 },
    ])
  })

  test('values that only a later version knows stop nothing: reasons are kept, mints of a new kind passed over', async () => {
    const later = (value: string) => value as never
    const [refused, asked, other] = [ledger.mint(), ledger.mint(), ledger.mint()]
    const seen = LedgerBuilder.opened()
      .refused(refused, later('policy-denied'))
      .refused(other, undefined, { kind: later('gcp_token') })
      .session(asked)
      .stsJwt(asked)
      .credsFailed(asked, later('quota-exceeded'))
    const { projector } = projecting.over(await memoryOf(seen.entries))
    await projector.start()
    await projector.caughtUpTo(seen.entries.length)
    expect(projector.status()).toMatchObject({ ok: true })
    await projector.stop()
    expect(dump(projecting.path())['mints']).toMatchObject([
      { mint_id: refused.mintId, reason: 'policy-denied' },
      { mint_id: asked.mintId, reason: 'quota-exceeded' },
    ])
  })
})
