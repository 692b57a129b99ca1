// The ledger key of a broker, pinned at first use: what every receipt is verified with.

import { readFileSync } from 'node:fs'

import { parseVkey } from '../../src/domain/ledger/note.js'
import { writeFileAtomically } from '../../src/storage/atomic-file.js'
import { ClientError } from '../client/errors.js'

import { shownVkey } from './description.js'
import type { BrokerHome } from './home.js'

export interface Pin {
  brokerUrl: string
  /** The ledger's vkey, `<origin>+<hash>+<key>`. */
  vkey: string
  pinnedAt: string
}

export function readPin({ pin }: BrokerHome): Pin | undefined {
  let text: string
  try {
    text = readFileSync(pin, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const { broker_url: brokerUrl, vkey, pinned_at: pinnedAt } = JSON.parse(text) as Record<string, string>
  return { brokerUrl: brokerUrl ?? '', vkey: vkey ?? '', pinnedAt: pinnedAt ?? '' }
}

export function writePin(home: BrokerHome, vkey: string, now: Date): Pin {
  parseVkey(vkey)
  home.make()
  const pin = { brokerUrl: home.url.href, vkey, pinnedAt: now.toISOString() }
  const { brokerUrl: broker_url, pinnedAt: pinned_at } = pin
  writeFileAtomically(home.pin, `${JSON.stringify({ broker_url, vkey, pinned_at }, undefined, 2)}\n`, 0o600)
  return pin
}

/**
 * The pin of this broker, made at its first use. The key that is pinned stays: a broker that shows another one is refused
 * before anything is sent to it.
 */
export async function pinFirstUse(home: BrokerHome, note: (line: string) => void): Promise<Pin> {
  const pinned = readPin(home)
  if (pinned) return pinned
  const pin = writePin(home, await shownVkey(home.url), new Date())
  note(
    `new broker: ledger key of ${pin.brokerUrl} pinned at first use: compare it with what the operator says: ${pin.vkey}`,
  )
  return pin
}

/** Throws ClientError `ledger_key_changed` where `vkey` is not the pinned one. */
export function checkPin(pin: Pin, vkey: string): void {
  if (pin.vkey === vkey) return
  throw new ClientError(
    'ledger_key_changed',
    `the broker at ${pin.brokerUrl} shows another ledger key than the one pinned on ${pin.pinnedAt}`,
  )
}
