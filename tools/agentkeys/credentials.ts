// AWS credentials for one session and role: from the cache while they are fresh, from the broker otherwise. However many
// processes ask at once, one of them mints.

import { createHash } from 'node:crypto'
import { join } from 'node:path'

import { readPrivateFile } from '../../src/storage/private-file.js'
import type { CredentialsAsk } from '../client/broker-client.js'
import type { MintedCredentials } from '../client/replies.js'

import type { Context } from './context.js'
import { askDaemon } from './daemon-client.js'
import { freshness } from './freshness.js'
import type { HeldCredentials } from './held-credentials.js'

/** Credentials with enough of their life left (freshness.ts). Rejects with ClientError or CliError. */
export async function credentialsFor(context: Context, ask: CredentialsAsk): Promise<HeldCredentials> {
  const { token, place } = await context.requireSession()
  // A bearer of the environment or the options is the caller's own: the daemon holds stored sessions.
  const stored = place !== 'environment' && place !== 'option'
  const answered = stored ? await askDaemon(context.sessionName, ask) : undefined
  if (answered) return answered
  const path = join(context.home.cache, `${cacheName(token, ask)}.json`)
  const held = readHeld(path)
  if (held && freshness(held, Date.now()) === 'fresh') return held
  context.home.make()
  // What a fresh credential does not need is loaded when there is none.
  const { withFileLock } = await import('./file-lock.js')
  return withFileLock(`${path}.lock`, async () => {
    // Another process may have minted while this one waited for the lock.
    const now = readHeld(path)
    if (now && freshness(now, Date.now()) === 'fresh') return now
    return renewed(context, ask, path, now)
  })
}

async function renewed(
  context: Context,
  ask: CredentialsAsk,
  path: string,
  held: HeldCredentials | undefined,
): Promise<HeldCredentials> {
  try {
    const fresh = await mintCredentials(context, ask)
    const { replaceFile } = await import('../../src/storage/atomic-file.js')
    await replaceFile(path, JSON.stringify(fresh), 0o600)
    return fresh
  } catch (error) {
    if (!held || freshness(held, Date.now()) === 'expired') throw error
    context.note(`${(error as Error).message}; the credentials of before are used, they are good for longer`)
    return held
  }
}

/** Mints, past any cache. The receipt is kept. */
export async function mintCredentials(context: Context, ask: CredentialsAsk): Promise<HeldCredentials> {
  const client = await context.client()
  const minted: MintedCredentials = await client.mintAwsCredentials(ask)
  const { keepReceipt } = await import('./receipt-folder.js')
  await keepReceipt(context.home, minted.mintId, minted.ledger)
  const { expiresAt, ledger, ...members } = minted
  return { ...members, mintedAt: Date.now(), expiresAt: expiresAt.getTime(), ledgerIndex: ledger.index }
}

/** Another session, role or lifetime is another entry, so that no wallet is served what was minted for another. */
function cacheName(token: string, { role = '', durationSeconds = 0 }: CredentialsAsk): string {
  return createHash('sha256')
    .update(JSON.stringify([token, role, durationSeconds]))
    .digest('hex')
    .slice(0, 32)
}

/** A cache that cannot be read is no cache. One that others can read is refused: it holds a secret. */
function readHeld(path: string): HeldCredentials | undefined {
  const text = readPrivateFile(path)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as HeldCredentials
  } catch {
    return undefined
  }
}
