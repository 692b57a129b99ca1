// The ledger key of a broker, pinned at first use: what every receipt is verified with.

import { readFileSync } from 'node:fs'

import { parseVkey } from '../../src/domain/ledger/note.js'
import { writeFileAtomically } from '../../src/storage/atomic-file.js'
import { ClientError } from '../client/errors.js'
import { exchange } from '../client/exchange.js'

import type { BrokerHome } from './home.js'

export interface Pin {
  brokerUrl: string
  /** The ledger's vkey, `<origin>+<hash>+<key>`. */
  vkey: string
  pinnedAt: string
}

const TIMEOUT_MS = 10_000

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

/** What the broker says its ledger's key is. Rejects with ClientError. */
export async function fetchVkey(brokerUrl: URL): Promise<string> {
  const { status, text } = await exchange(
    { method: 'GET', url: new URL('ledger/vkey', brokerUrl) },
    TIMEOUT_MS,
  )
  const vkey = text.trim()
  try {
    if (status === 200) return (parseVkey(vkey), vkey)
  } catch {
    // Falls through: what is no vkey is as good as no answer.
  }
  throw new ClientError('malformed_reply', `${brokerUrl.href}ledger/vkey gave no ledger key (HTTP ${status})`)
}

/** Throws ClientError `ledger_key_changed` where `vkey` is not the pinned one. */
export function checkPin(pin: Pin, vkey: string): void {
  if (pin.vkey === vkey) return
  throw new ClientError(
    'ledger_key_changed',
    `the broker at ${pin.brokerUrl} shows another ledger key than the one pinned on ${pin.pinnedAt}`,
  )
}
