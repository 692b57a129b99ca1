// A sequencer whose appends are signed, beside one whose are not. No broker follows what is not signed, so read models
// and receipts are left out on both sides: of a whole mint the signature is a smaller share than between these two.

import { type NoteKey, SIGNATURE_BYTES } from '../../src/domain/ledger/note.js'
import { SqliteEventStore } from '../../src/event-store/sqlite.js'
import { Sequencer, DEFAULT_LIMITS } from '../../src/ledger/sequencer.js'
import { loadOrCreateLedgerKey } from '../../src/ledger/key.js'

export interface BareAppender {
  sequencer: Sequencer
  close: () => Promise<void>
}

/** On a ledger of its own at `path`. */
export function bareAppender(path: string, kind: 'signed' | 'unsigned'): BareAppender {
  const { signer } = loadOrCreateLedgerKey(`${path}.key.json`, 'bench.example.com/ledger')
  const store = new SqliteEventStore(path)
  const chosen = kind === 'signed' ? signer : unsigning(signer.key)
  const now = () => new Date()
  const sequencer = new Sequencer(store, undefined, now, () => undefined, DEFAULT_LIMITS, { signer: chosen })
  const close = async () => {
    await sequencer.close()
    await store.close()
  }
  return { sequencer, close }
}

/** The same bytes for every head, so that all but the signing itself is alike. */
function unsigning(key: NoteKey) {
  const none = new Uint8Array(SIGNATURE_BYTES)
  return { key, sign: () => none }
}
