// The receipts of this user's mints: one file for each, at most 1,000, the oldest removed first.

import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { replaceFile } from '../../src/storage/atomic-file.js'
import type { LedgerReference } from '../client/receipts.js'

import type { BrokerHome } from './home.js'

const MAX_RECEIPTS = 1_000
const SUFFIX = '.tlog-proof'

/** Mint ids are UUIDv7: their order is that of the mints. */
export function receiptIds({ receipts }: BrokerHome): string[] {
  try {
    return readdirSync(receipts)
      .filter((name) => name.endsWith(SUFFIX) && !name.startsWith('.'))
      .map((name) => name.slice(0, -SUFFIX.length))
      .sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

export async function keepReceipt(
  home: BrokerHome,
  mintId: string,
  { receipt }: LedgerReference,
): Promise<void> {
  if (!isMintId(mintId)) return
  home.make()
  await replaceFile(join(home.receipts, `${mintId}${SUFFIX}`), receipt, 0o600)
  for (const old of receiptIds(home).slice(0, -MAX_RECEIPTS))
    rmSync(join(home.receipts, `${old}${SUFFIX}`), { force: true })
}

/** The text of a receipt; undefined where none is kept. */
export function readReceipt({ receipts }: BrokerHome, mintId: string): string | undefined {
  if (!isMintId(mintId)) return undefined
  try {
    return readFileSync(join(receipts, `${mintId}${SUFFIX}`), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Part of a file name: nothing but a UUID. */
function isMintId(text: string): boolean {
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)
}
