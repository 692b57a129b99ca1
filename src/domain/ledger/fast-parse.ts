// The fast way to read an entry's place in the chain: one pass over the bytes, no JSON.parse.
//
// It accepts only the plain case, which is nearly every entry: printable ASCII without escapes, integers of at most 15
// digits. Of anything else it says nothing, and parseEntry decides. So all that must hold is that a text accepted here
// is accepted there, and read alike; fast-parse.test.ts compares the two.

import { sha256Hex } from '#sha256'

import { isTime, MAX_ENTRY_BYTES } from './entry.js'

/** What the chain needs of an entry. */
export interface ChainFields {
  index: number
  prev: string
  time: string
  leafHash: string
}

/** The link of an entry in plain canonical form; undefined: ask parseEntry. */
export function parseChainFields(text: string): ChainFields | undefined {
  const { read, written } = encoder.encodeInto(text, bytes.subarray(0, MAX_ENTRY_BYTES))
  if (read < text.length) return undefined
  bytes[written] = END

  const data = literal(0, DATA)
  const indexAt = bytes[data] === OPEN_OBJECT ? literal(object(data, 0), INDEX) : NO
  const prevAt = literal(integer(indexAt), PREV)
  const timeAt = literal(hash(prevAt), TIME)
  const typeAt = literal(timeAt === NO ? NO : timeAt + TIME_LENGTH, TYPE)
  const type = typeAt === NO || bytes[typeAt] === QUOTE ? NO : string(typeAt - 1)
  if (literal(type, V) !== written) return undefined

  const index = Number(text.slice(indexAt, prevAt - PREV.length))
  const time = text.slice(timeAt, timeAt + TIME_LENGTH)
  if (index < 0 || !isTime(time)) return undefined
  return {
    index,
    prev: text.slice(prevAt, prevAt + HASH_LENGTH),
    time,
    leafHash: sha256Hex(leaf.subarray(0, 1 + written)),
  }
}

const encoder = new TextEncoder()
/** What the leaf hash is taken of: 0x00 and the text. */
const leaf = new Uint8Array(1 + MAX_ENTRY_BYTES + 1)
/** The text and END. Every function below takes a position in it and gives the position after what it read, or NO. */
const bytes = leaf.subarray(1)

const NO = -1
/** No byte of plain text, so that nothing reads past it. */
const END = 0
const MAX_DEPTH = 8
const MAX_DIGITS = 15
const HASH_LENGTH = 64
const TIME_LENGTH = 24

const QUOTE = 0x22
const COMMA = 0x2c
const MINUS = 0x2d
const ZERO = 0x30
const NINE = 0x39
const COLON = 0x3a
const OPEN_LIST = 0x5b
const BACKSLASH = 0x5c
const CLOSE_LIST = 0x5d
const LETTER_F = 0x66
const LETTER_N = 0x6e
const LETTER_T = 0x74
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

const DATA = encoder.encode('{"data":')
const INDEX = encoder.encode(',"index":')
const PREV = encoder.encode(',"prev":"')
const TIME = encoder.encode('","time":"')
const TYPE = encoder.encode('","type":"')
const V = encoder.encode(',"v":1}')
const TRUE = encoder.encode('true')
const FALSE = encoder.encode('false')
const NULL = encoder.encode('null')

/** 1 for what stands for itself inside quotes. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x20 && byte <= 0x7e && byte !== QUOTE && byte !== BACKSLASH ? 1 : 0,
)

function literal(at: number, expected: Uint8Array): number {
  if (at === NO) return NO
  for (let i = 0; i < expected.length; i += 1) if (bytes[at + i] !== expected[i]) return NO
  return at + expected.length
}

function value(at: number, depth: number): number {
  switch (bytes[at]) {
    case QUOTE:
      return string(at)
    case OPEN_OBJECT:
      return object(at, depth)
    case OPEN_LIST:
      return list(at, depth)
    case LETTER_T:
      return literal(at, TRUE)
    case LETTER_F:
      return literal(at, FALSE)
    case LETTER_N:
      return literal(at, NULL)
    default:
      return integer(at)
  }
}

function object(at: number, depth: number): number {
  if (depth === MAX_DEPTH) return NO
  if (bytes[at + 1] === CLOSE_OBJECT) return at + 2
  let last = NO
  for (let key = at + 1; ;) {
    const colon = bytes[key] === QUOTE ? string(key) : NO
    if (colon === NO || bytes[colon] !== COLON || (last !== NO && !follows(last, key))) return NO
    const end = value(colon + 1, depth + 1)
    if (end === NO) return NO
    if (bytes[end] === CLOSE_OBJECT) return end + 1
    if (bytes[end] !== COMMA) return NO
    last = key
    key = end + 1
  }
}

/** Whether the member name at `key` sorts after the one at `last`. A closing quote sorts like the end, before all. */
function follows(last: number, key: number): boolean {
  let i = 1
  while (bytes[last + i] === bytes[key + i]) {
    if (bytes[key + i] === QUOTE) return false
    i += 1
  }
  const [a, b] = [bytes[last + i] as number, bytes[key + i] as number]
  return a === QUOTE || (b !== QUOTE && a < b)
}

function list(at: number, depth: number): number {
  if (depth === MAX_DEPTH) return NO
  if (bytes[at + 1] === CLOSE_LIST) return at + 2
  for (let item = at + 1; ;) {
    const end = value(item, depth + 1)
    if (end === NO) return NO
    if (bytes[end] === CLOSE_LIST) return end + 1
    if (bytes[end] !== COMMA) return NO
    item = end + 1
  }
}

function string(at: number): number {
  let end = at + 1
  while (PLAIN[bytes[end] as number] === 1) end += 1
  return bytes[end] === QUOTE ? end + 1 : NO
}

function integer(at: number): number {
  if (at === NO) return NO
  if (bytes[at] === ZERO) return at + 1
  const first = bytes[at] === MINUS ? at + 1 : at
  if (bytes[first] === ZERO) return NO
  let end = first
  while (isDigit(bytes[end] as number)) end += 1
  return end === first || end - first > MAX_DIGITS ? NO : end
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE
}

function hash(at: number): number {
  if (at === NO) return NO
  for (let i = at; i < at + HASH_LENGTH; i += 1) {
    const byte = bytes[i] as number
    if (!isDigit(byte) && !(byte >= 0x61 && byte <= LETTER_F)) return NO
  }
  return at + HASH_LENGTH
}
