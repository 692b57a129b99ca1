// The price of signing each append, and of checking a signature: the heads of a ledger that was measured, signed and
// checked once more.

import Sqlite from 'better-sqlite3'

import { LedgerSignatures, signAppend } from '../../src/domain/ledger/ledger-signature.js'
import { parseEntry } from '../../src/domain/ledger/entry.js'
import { loadLedgerKey } from '../../src/ledger/key.js'
import { answerOrders } from './child.js'

export interface SigningOrder {
  ledgerPath: string
  keyPath: string
  origin: string
}

export interface SigningResult {
  entries: number
  /** One signature each. */
  appends: number
  signUs: number
  /** What a follower, a start and the verifier spend on each append. */
  checkUs: number
}

const MOST_HEADS = 5_000

function measure({ ledgerPath, keyPath, origin }: SigningOrder): Promise<SigningResult> {
  const key = loadLedgerKey(keyPath, origin)
  if (!key) throw new Error(`there is no ledger key at ${keyPath}`)
  const { signer } = key
  const signatures = new LedgerSignatures(signer.key)
  const { heads, ...sizes } = headsIn(ledgerPath)
  // Once for the compiler.
  for (const { head } of heads.slice(0, 500)) signatures.isOfAppend(head, signAppend(head, signer))
  const signUs = usOf(heads, ({ head }) => signAppend(head, signer) !== '')
  const checkUs = usOf(heads, ({ head, signature }) => signatures.isOfAppend(head, signature))
  return Promise.resolve({ ...sizes, signUs, checkUs })
}

interface SignedHead {
  head: { size: number; leafHash: string }
  signature: string
}

function headsIn(ledgerPath: string) {
  const db = new Sqlite(ledgerPath, { readonly: true, fileMustExist: true })
  const rows = db
    .prepare<[number], { entry: string; signature: string }>(
      'SELECT entry, signature FROM signed_heads JOIN ledger USING (idx) ORDER BY idx DESC LIMIT ?',
    )
    .all(MOST_HEADS)
  const count = (table: string) =>
    db.prepare<[], number>(`SELECT count(*) FROM ${table}`).pluck().get() ?? NaN
  const sizes = { entries: count('ledger'), appends: count('signed_heads') }
  db.close()
  const heads = rows.map(({ entry: text, signature }): SignedHead => {
    const { entry, leafHash } = parseEntry(text)
    return { head: { size: entry.index + 1, leafHash }, signature }
  })
  return { heads, ...sizes }
}

function usOf(heads: readonly SignedHead[], work: (head: SignedHead) => boolean): number {
  const started = performance.now()
  for (const head of heads) if (!work(head)) throw new Error('a signature of the bench does not verify')
  return ((performance.now() - started) * 1000) / heads.length
}

answerOrders(measure)
