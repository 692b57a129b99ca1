// What the C2SP text formats are made of, read so strictly that whatever was parsed prints back to the same bytes.

/**
 * Why bytes are not what they should be.
 *
 * too-large        longer than the format's cap, or more lines than it allows
 * not-text         invalid UTF-8, a lone surrogate, or a control character (CR too)
 * truncated        it ends before it is complete
 * bad-line         a line that the format does not have in that place
 * bad-base64       another alphabet, missing padding, non-zero trailing bits, or the wrong number of bytes
 * bad-number       not a decimal without leading zeros, or beyond its bounds
 * bad-key          no vkey or skey of a type that is understood, or one whose key ID is not its own
 * bad-path         no path of a tile or an entry bundle
 * duplicate        what may be there once is there twice
 * unknown-name     a policy uses a name that no line before defines
 * extension-line   a checkpoint has more than three lines
 */
export type FormatErrorCode =
  | 'too-large'
  | 'not-text'
  | 'truncated'
  | 'bad-line'
  | 'bad-base64'
  | 'bad-number'
  | 'bad-key'
  | 'bad-path'
  | 'duplicate'
  | 'unknown-name'
  | 'extension-line'

/** What every parser of the log's formats throws. The message names the place; it never repeats what was read. */
export class FormatError extends Error {
  constructor(
    readonly code: FormatErrorCode,
    message: string,
  ) {
    super(message)
    this.name = 'FormatError'
  }
}

/** A text as it came, over the wire or from a file. */
export type Source = string | Uint8Array

export interface TextLimits {
  /** Names the format in errors. */
  what: string
  maxBytes: number
}

// A BOM is a character like any other: dropped silently, it would be a second spelling of the same text.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

export function utf8(text: string): Uint8Array {
  return encoder.encode(text)
}

/** The text of `source`: valid UTF-8 within the cap, without control characters but LF and those `allowed`. */
export function readText(source: Source, { what, maxBytes }: TextLimits, allowed = ''): string {
  if (source.length > maxBytes) throw new FormatError('too-large', `${what}: longer than ${maxBytes} bytes`)
  const text = typeof source === 'string' ? source : decodeUtf8(source, what)
  if (!text.isWellFormed()) throw new FormatError('not-text', `${what}: a lone surrogate has no UTF-8 form`)
  if (typeof source === 'string' && utf8(text).length > maxBytes) {
    throw new FormatError('too-large', `${what}: longer than ${maxBytes} bytes`)
  }
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x20 && unit !== 0x0a && !allowed.includes(text.charAt(i))) {
      throw new FormatError('not-text', `${what}: lines end in LF, and no other control character is allowed`)
    }
  }
  return text
}

function decodeUtf8(bytes: Uint8Array, what: string): string {
  try {
    return decoder.decode(bytes)
  } catch {
    throw new FormatError('not-text', `${what}: not valid UTF-8`)
  }
}

/** A whole number as the log formats write it. Sizes stay below 2^53, where a JavaScript number is exact. */
export function parseDecimal(text: string, what: string): number {
  const value = /^(?:0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : NaN
  if (!Number.isSafeInteger(value)) {
    throw new FormatError(
      'bad-number',
      `${what}: a decimal without leading zeros, at most 2^53-1, is expected`,
    )
  }
  return value
}

/** Undefined for what is no URL. Not by URL.canParse: that of Node 20 is wrong about Latin-1 letters once it is compiled. */
export function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const NO_DIGIT = 255
const DIGITS = new Uint8Array(128).fill(NO_DIGIT)
for (let i = 0; i < ALPHABET.length; i++) DIGITS[ALPHABET.charCodeAt(i)] = i

/** Two digits for every twelve bits: most of a receipt is base64, and every mint has one. */
const PAIRS = Array.from(
  { length: 4096 },
  (_, bits) => ALPHABET.charAt(bits >> 6) + ALPHABET.charAt(bits & 63),
)

/** RFC 4648 section 4, padded. */
export function encodeBase64(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const bits = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
    text += PAIRS[bits >> 12]
    text += PAIRS[bits & 0xfff]
  }
  const missing = (3 - (bytes.length % 3)) % 3
  return missing === 0 ? text : text.slice(0, -missing) + '='.repeat(missing)
}

/** The strict inverse of encodeBase64: atob and Buffer both accept several texts for the same bytes. */
export function decodeBase64(text: string, what: string): Uint8Array {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  if (text.length % 4 !== 0) throw new FormatError('bad-base64', `${what}: padded base64 is expected`)
  const bytes = new Uint8Array((text.length / 4) * 3 - padding)
  let held = 0
  let bits = 0
  let at = 0
  for (let i = 0; i < text.length - padding; i++) {
    const digit = DIGITS[text.charCodeAt(i)] ?? NO_DIGIT
    if (digit === NO_DIGIT) throw new FormatError('bad-base64', `${what}: not the standard base64 alphabet`)
    held = (held << 6) | digit
    bits += 6
    if (bits < 8) continue
    bits -= 8
    bytes[at++] = held >> bits
    held &= (1 << bits) - 1
  }
  if (held !== 0) throw new FormatError('bad-base64', `${what}: the bits behind the last byte must be zero`)
  return bytes
}

/** Of a SHA-256 hash. */
export const HASH_BYTES = 32

export function decodeHash(text: string, what: string): Uint8Array {
  const hash = decodeBase64(text, what)
  if (hash.length !== HASH_BYTES)
    throw new FormatError('bad-base64', `${what}: ${HASH_BYTES} bytes are expected`)
  return hash
}

/** For public values only: it stops at the first difference. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
