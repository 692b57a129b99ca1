// What the ledger key signs besides checkpoints: appends, and the states of signing keys. docs/ledger-format.md,
// "Signatures of the ledger key".
//
// Every statement begins with a name of its own, so that no signature of one kind is one of another, and none can be
// read as a checkpoint. For an append no checkpoint is signed: a broker that loses the append to another one has signed a
// head that never existed, and a checkpoint of that head would prove that the log lies.

import { ed25519Check } from '#ed25519'

import { type NoteKey, SIGNATURE_BYTES, type Signer } from './note.js'
import { decodeBase64, encodeBase64, FormatError, utf8 } from './encoding.js'

/** The head that an append makes: how many entries there are after it, and the leaf hash of the last one, in hex. */
export interface AppendHead {
  size: number
  leafHash: string
}

/** What happened to a signing key last. */
export type SignedKeyState = 'published' | 'activated' | 'retired' | 'revoked'

export interface SignedKey {
  kid: string
  /** RFC 7638, see jwk.ts. */
  thumbprint: string
  state: SignedKeyState
}

/** A leaf hash covers all entries before it, through `prev`. */
function appendStatement(origin: string, { size, leafHash }: AppendHead): string {
  return `agentkeys-broker/append/v1\n${origin}\n${size}\n${leafHash}\n`
}

function keyStatement(origin: string, { kid, thumbprint, state }: SignedKey): string {
  return `agentkeys-broker/signing-key/v1\n${origin}\n${kid}\n${thumbprint}\n${state}\n`
}

/** In base64. The ledger key has the origin for its name. */
export function signAppend(head: AppendHead, signer: Signer): string {
  return signed(appendStatement(signer.key.name, head), signer)
}

/** In base64. */
export function signKey(key: SignedKey, signer: Signer): string {
  return signed(keyStatement(signer.key.name, key), signer)
}

function signed(statement: string, { sign }: Signer): string {
  return encodeBase64(sign(utf8(statement)))
}

/** Tells what a holder of the ledger key has signed. */
export class LedgerSignatures {
  readonly origin: string
  private readonly check: (message: Uint8Array, signature: Uint8Array) => boolean

  constructor(readonly key: NoteKey) {
    this.origin = key.name
    this.check = ed25519Check(key.publicKey)
  }

  isOfAppend(head: AppendHead, signature: string): boolean {
    return this.isOf(appendStatement(this.origin, head), signature)
  }

  isOfKey(key: SignedKey, signature: string): boolean {
    // A line break in a kid would move what is signed into another line.
    return !key.kid.includes('\n') && this.isOf(keyStatement(this.origin, key), signature)
  }

  private isOf(statement: string, signature: string): boolean {
    const bytes = signatureBytes(signature)
    return bytes !== undefined && this.check(utf8(statement), bytes)
  }
}

/** Undefined where the text is not the base64 of an Ed25519 signature. */
export function signatureBytes(text: string): Uint8Array | undefined {
  try {
    const bytes = decodeBase64(text, 'signature')
    return bytes.length === SIGNATURE_BYTES ? bytes : undefined
  } catch (error) {
    if (error instanceof FormatError) return undefined
    throw error
  }
}

/** A chained entry, and the signature that is kept beside it. */
export interface MaybeSigned {
  index: number
  leafHash: string
  signature?: string | undefined
}

/**
 * How many of `entries` a holder of the ledger key appended, or took over. They are chained, each to the one before:
 * so the last signature that is good is enough for all before it.
 */
export function signedLength(entries: readonly MaybeSigned[], signatures: LedgerSignatures): number {
  const last = entries.findLastIndex(
    ({ index, leafHash, signature }) =>
      signature !== undefined && signatures.isOfAppend({ size: index + 1, leafHash }, signature),
  )
  return last + 1
}
