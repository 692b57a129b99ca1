// A token in a file, for SDKs that read one; kept fresh until the command is ended.

import { resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { replaceFile } from '../../src/storage/atomic-file.js'
import type { MintedJwt } from '../client/replies.js'

import { formatToken, type TokenFormat } from './token-forms.js'

const RETRY_MS = 5_000

/** 0600, renamed into place: a reader sees a whole token, the one before or the new one. */
export async function writeToken(path: string, minted: MintedJwt, format: TokenFormat): Promise<void> {
  await replaceFile(resolve(path), formatToken(minted, format), 0o600)
}

interface Renewal {
  mint: () => Promise<MintedJwt>
  first: MintedJwt
  note: (line: string) => void
}

/** Renews at two thirds of each token's life. Never returns; a mint that fails is repeated and reported once. */
export async function keepFresh(
  path: string,
  format: TokenFormat,
  { mint, first, note }: Renewal,
): Promise<never> {
  let { expiresAt } = first
  let failing = false
  for (;;) {
    await pause(failing ? RETRY_MS : renewAfterMs(expiresAt, Date.now()))
    try {
      const minted = await mint()
      await writeToken(path, minted, format)
      if (failing) note('the token is renewed again')
      ;({ expiresAt } = minted)
      failing = false
    } catch (error) {
      if (!failing)
        note(`the token cannot be renewed: ${(error as Error).message}; retrying every ${RETRY_MS / 1000} s`)
      failing = true
    }
  }
}

function renewAfterMs(expiresAt: Date, now: number): number {
  return Math.max(1_000, ((expiresAt.getTime() - now) * 2) / 3)
}
