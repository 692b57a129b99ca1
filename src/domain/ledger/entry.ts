// An entry: the canonical JSON of {data, index, prev, time, type, v}. docs/ledger-format.md, "An entry".

import { sha256Hex } from '#sha256'

import { canonicalize, isCanonical, type Json } from './canonical.js'
import type { AnyEvent, LedgerEvent } from './events.js'

/** `prev` of the first entry. */
export const GENESIS = '0'.repeat(64)

/** The entry bundles of C2SP tlog-tiles give a length in two bytes. */
export const MAX_ENTRY_BYTES = 65_535

export interface Entry extends AnyEvent {
  v: 1
  index: number
  /** leafHash of the entry before, 64 lower-case hex digits. */
  prev: string
  /** RFC 3339 UTC with milliseconds; never earlier than the entry before. */
  time: string
}

/** An entry with its bytes. `text` is what is stored, served and hashed; it is never serialized again from `entry`. */
export interface Sealed {
  entry: Entry
  text: string
  /** SHA-256(0x00 ‖ UTF-8 of text), lower-case hex: the chain's link and the Merkle leaf. */
  leafHash: string
}

export type EntryProblem = 'malformed' | 'not-canonical' | 'too-large'

/** The text is no entry. `problem` is the finding an auditor is shown. */
export class EntryError extends Error {
  constructor(
    readonly problem: EntryProblem,
    message: string,
  ) {
    super(message)
    this.name = 'EntryError'
  }
}

/** The entry that follows `previous` (undefined: the first). Throws EntryError when the event cannot be an entry. */
export function chain(previous: Sealed | undefined, event: LedgerEvent, now: Date): Sealed {
  const time = now.toISOString()
  const entry: Entry = {
    data: event.data as unknown as Entry['data'],
    index: previous ? previous.entry.index + 1 : 0,
    prev: previous?.leafHash ?? GENESIS,
    time: previous && previous.entry.time > time ? previous.entry.time : time,
    type: event.type,
    v: 1,
  }
  const problem = valueProblem(entry.data, 'data')
  if (problem) throw new EntryError('malformed', problem)
  return sealed(entry, canonicalize(entry as unknown as Json))
}

/** Reads one entry strictly: exactly the six members, canonical, not too long. Throws EntryError. */
export function parseEntry(text: string): Sealed {
  // A character is a byte at least: what cannot be short enough is not even parsed.
  if (text.length > MAX_ENTRY_BYTES) throw new EntryError('too-large', `longer than ${MAX_ENTRY_BYTES} bytes`)
  let value: Json
  try {
    value = JSON.parse(text) as Json
  } catch {
    // JSON.parse quotes the text in its message, and the text may come from anyone.
    throw new EntryError('malformed', 'not JSON')
  }
  const problem = entryProblem(value)
  if (problem) throw new EntryError('malformed', problem)
  if (!isCanonical(text, value))
    throw new EntryError('not-canonical', 'the text is not the RFC 8785 form of its value')
  return sealed(value as unknown as Entry, text)
}

const encoder = new TextEncoder()
const scratch = new Uint8Array(1 + MAX_ENTRY_BYTES)

/** SHA-256(0x00 ‖ bytes), RFC 6962 section 2.1. Throws EntryError when the text is longer than an entry may be. */
export function leafHash(text: string): string {
  const { read, written } = encoder.encodeInto(text, scratch.subarray(1))
  if (read < text.length) throw new EntryError('too-large', `longer than ${MAX_ENTRY_BYTES} bytes`)
  return sha256Hex(scratch.subarray(0, 1 + written))
}

function sealed(entry: Entry, text: string): Sealed {
  return { entry, text, leafHash: leafHash(text) }
}

const MEMBERS = 6
const HASH = /^[0-9a-f]{64}$/
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

function entryProblem(value: Json): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not a JSON object'
  const { data, index, prev, time, type, v } = value as Partial<Record<keyof Entry, Json>>
  if (Object.keys(value).length !== MEMBERS) return 'the members must be data, index, prev, time, type and v'
  if (v !== 1) return 'v must be 1'
  if (typeof index !== 'number' || !Number.isSafeInteger(index) || index < 0) return 'index must count from 0'
  if (typeof prev !== 'string' || !HASH.test(prev)) return 'prev must be 64 lower-case hex digits'
  if (typeof time !== 'string' || !isTime(time)) return 'time must be RFC 3339 in UTC with milliseconds'
  if (typeof type !== 'string' || type === '') return 'type must be a name'
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return 'data must be an object'
  return valueProblem(data, 'data')
}

let lastGoodSecond = ''

function isTime(time: string): boolean {
  if (!TIME.test(time)) return false
  // Neighbours share their second; Date is asked once for each.
  const second = time.slice(0, 19)
  if (second === lastGoodSecond) return true
  const parsed = new Date(time)
  if (Number.isNaN(parsed.getTime()) || parsed.toISOString() !== time) return false
  lastGoodSecond = second
  return true
}

/** Deeper than any event goes, and far from what recursion can bear. */
const MAX_DEPTH = 32

function valueProblem(value: unknown, name: string, depth = 0): string | undefined {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed() ? undefined : `${shown(name)} has a lone surrogate`
    case 'boolean':
      return undefined
    case 'number':
      return Number.isSafeInteger(value) && !Object.is(value, -0)
        ? undefined
        : `${shown(name)} must be a safe integer, not ${value}`
    case 'object':
      if (value === null) return undefined
      if (depth === MAX_DEPTH) return `data is nested deeper than ${MAX_DEPTH}`
      return Array.isArray(value)
        ? itemProblem(value, name, depth + 1)
        : memberProblem(value as Record<string, unknown>, depth + 1)
    case 'undefined':
    case 'function':
    case 'symbol':
    case 'bigint':
      return `${shown(name)} has no JSON form`
  }
}

function itemProblem(items: readonly unknown[], name: string, depth: number): string | undefined {
  for (const item of items) {
    const problem = valueProblem(item, name, depth)
    if (problem) return problem
  }
  return undefined
}

function memberProblem(members: Record<string, unknown>, depth: number): string | undefined {
  for (const key in members) {
    const problem = key.isWellFormed()
      ? valueProblem(members[key], key, depth)
      : 'a member name has a lone surrogate'
    if (problem) return problem
  }
  return undefined
}

/** A member's name, unless it is one that could do more to a terminal than be read. */
function shown(name: string): string {
  return /^[\w-]{1,64}$/.test(name) ? name : 'a member of data'
}
