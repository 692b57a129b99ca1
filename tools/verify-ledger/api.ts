// agentkeys-broker/verify: what verify-ledger does, for programs. No Nest and no native module stands behind it: only a
// source `sqlite:` loads one, when it is opened.

export { defaultStatePath } from './remembered.js'
export { openSource, parseSource, type Access, type SourceName } from './sources/open.js'
export { SourceError, type Batch, type Log, type Source } from './sources/source.js'
export type { KeyFrom } from './trust.js'
export { UsageError } from './usage-error.js'
export { verify, type Options, type Outcome } from './verification.js'

export { parseSignedCheckpoint, type SignedCheckpoint } from '../../src/domain/ledger/checkpoint.js'
export type { Finding, FindingKind } from '../../src/domain/ledger/findings.js'
export { parseVkey, type NoteKey } from '../../src/domain/ledger/note.js'
export { parsePolicy, type Policy } from '../../src/domain/ledger/policy.js'
export { parseProof, type TlogProof } from '../../src/domain/ledger/proof.js'
export { verifyReceipt, type Logged, type ReceiptVerdict } from '../../src/domain/ledger/receipt.js'
export type { Verdict } from '../../src/domain/ledger/verify.js'
export { FormatError } from '../../src/domain/ledger/encoding.js'
