// A receipt: the tlog-proof of an entry that speaks of a credential, with the entry itself in its `extra` line, so that
// receipt and key are all it takes. docs/ledger-format.md, "Receipts".

import { sha256Hex } from '#sha256'

import { EntryError, type Entry, parseEntry } from './entry.js'
import type { EventOf } from './events.js'
import type { Policy } from './policy.js'
import { type ProofProblem, type ProofVerdict, type TlogProof, verifyProof } from './proof.js'
import { isEventType, schemaProblem } from './event-schemas.js'
import { decodeBase64, FormatError, utf8 } from './encoding.js'

/**
 * no-entry        the receipt carries none, and none was given
 * not-an-entry    what it carries is not the canonical text of an entry
 * wrong-index     the entry says it is at another place than the proof
 * no-jwt-entry    the entry is logged, and it is not one that a JWT is announced in
 * not-a-jwt       the text is no JWS in compact form
 * other-jwt       the entry announces another JWT: not the same bytes up to the signature
 * other-claims    the JWT is the one announced, and what it says is not what the entry says of it
 */
export type ReceiptProblem =
  | ProofProblem
  | 'no-entry'
  | 'not-an-entry'
  | 'wrong-index'
  | 'no-jwt-entry'
  | 'not-a-jwt'
  | 'other-jwt'
  | 'other-claims'

export type ReceiptVerdict =
  | (Extract<ProofVerdict, { ok: true }> & { entry: Entry; leafHash: string })
  | { ok: false; problem: ReceiptProblem }

export interface Logged {
  /** The entry's canonical text; undefined: it is in the receipt. */
  entry?: Uint8Array | undefined
  /** To be the one that the entry announces. Its signature is not verified here: that takes the issuer's key. */
  jwt?: string | undefined
}

/** Whether a log that `policy` believes has the entry, and whether it announces the JWT, if one is given. */
export function verifyReceipt(
  proof: TlogProof,
  policy: Policy,
  { entry: given, jwt }: Logged,
): ReceiptVerdict {
  const bytes = given ?? proof.extra
  if (!bytes) return { ok: false, problem: 'no-entry' }
  // The extra line is not signed. It is trusted only because its hash is in the tree.
  const included = verifyProof(bytes, proof, policy)
  if (!included.ok) return included
  const sealed = parsedEntry(bytes)
  if (!sealed) return { ok: false, problem: 'not-an-entry' }
  if (sealed.entry.index !== proof.index) return { ok: false, problem: 'wrong-index' }
  const problem = jwt === undefined ? undefined : jwtProblem(jwt, sealed.entry)
  return problem ? { ok: false, problem } : { ...included, ...sealed }
}

function parsedEntry(bytes: Uint8Array): { entry: Entry; leafHash: string } | undefined {
  const text = decoded(bytes)
  if (text === undefined) return undefined
  try {
    const { entry, leafHash } = parseEntry(text)
    return { entry, leafHash }
  } catch (error) {
    if (error instanceof EntryError) return undefined
    throw error
  }
}

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** RFC 7515 section 7.1; an ES256 signature has 64 bytes. */
const JWT = /^(?<header>[\w-]+)\.(?<payload>[\w-]+)\.[\w-]{86}$/

function jwtProblem(jwt: string, { type, data }: Entry): ReceiptProblem | undefined {
  if (type !== 'JwtIssued' || !isEventType(type) || schemaProblem(type, data)) return 'no-jwt-entry'
  const { mintId, kid, sub, aud, iat, exp, signingInputSha256 } =
    data as unknown as EventOf<'JwtIssued'>['data']
  const { header, payload } = JWT.exec(jwt)?.groups ?? {}
  if (header === undefined || payload === undefined) return 'not-a-jwt'
  if (sha256Hex(utf8(`${header}.${payload}`)) !== signingInputSha256) return 'other-jwt'
  const says = { ...objectOf(header), ...objectOf(payload) }
  const expected = { alg: 'ES256', kid, jti: mintId, sub, aud, iat, exp }
  for (const [claim, value] of Object.entries(expected)) if (says[claim] !== value) return 'other-claims'
  return undefined
}

/** The JSON object behind a part of a JWT; empty when there is none, so that no claim is met. */
function objectOf(part: string): Record<string, unknown> {
  const base64 = part.replace(/-/g, '+').replace(/_/g, '/')
  try {
    const bytes = decodeBase64(base64.padEnd(Math.ceil(base64.length / 4) * 4, '='), 'JWT')
    const value: unknown = JSON.parse(decoded(bytes) ?? 'null')
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch (error) {
    if (error instanceof FormatError || error instanceof SyntaxError) return {}
    throw error
  }
}
