// C2SP tlog-cosignature, Ed25519 (type 0x04): a witness states that at that time, the checkpoint was that of the
// largest tree it had seen under its origin, and consistent with all it saw before. The ML-DSA-44 form (0x06) is
// not understood: its lines are those of an unknown key.

import { concatBytes } from '@noble/hashes/utils.js'

import {
  type NoteKey,
  type NoteSignature,
  SIGNATURE_BYTES,
  type Signer,
  type Verifier,
  verifyEd25519,
} from './note.js'
import { utf8 } from './encoding.js'

const TIME_BYTES = 8

/** The signature of `text`, a whole checkpoint body, at `unixSeconds`. */
export function cosign(text: string, { key, sign }: Signer, unixSeconds: number): NoteSignature {
  if (!isTime(unixSeconds)) throw new RangeError('the time must be in whole seconds since 1970')
  const time = new Uint8Array(TIME_BYTES)
  new DataView(time.buffer).setBigUint64(0, BigInt(unixSeconds))
  const signature = concatBytes(time, sign(cosignatureMessage(text, unixSeconds)))
  return { name: key.name, id: key.id, signature }
}

export function cosignatureMessage(text: string, unixSeconds: number): Uint8Array {
  return utf8(`cosignature/v1\ntime ${unixSeconds}\n${text}`)
}

export function cosignatureVerifier(key: NoteKey): Verifier {
  return {
    key,
    verify(text, signature) {
      const time = cosignatureTime(signature)
      if (time === undefined) return false
      return verifyEd25519(key.publicKey, cosignatureMessage(text, time), signature.subarray(TIME_BYTES))
    },
  }
}

/** Unix seconds, to be believed only once the signature is verified. Undefined when it is no 0x04 signature. */
export function cosignatureTime(signature: Uint8Array): number | undefined {
  if (signature.length !== TIME_BYTES + SIGNATURE_BYTES) return undefined
  const view = new DataView(signature.buffer, signature.byteOffset, signature.byteLength)
  const time = Number(view.getBigUint64(0))
  return isTime(time) ? time : undefined
}

/** The format's own bound is 2^63; past 2^53 seconds, some 285 million years, a number is no longer exact. */
function isTime(unixSeconds: number): boolean {
  return Number.isSafeInteger(unixSeconds) && unixSeconds >= 0
}
