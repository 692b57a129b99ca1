// The issuer's keys: a table in the read model, and its copy in memory from which JWKS is answered.

import type { EventData, PublicJwk } from '../domain/ledger/events.js'
import { isOnCurve, thumbprint } from '../domain/ledger/jwk.js'
import type { LedgerSignatures } from '../domain/ledger/ledger-signature.js'
import { isKeyEvent, type KnownKey, signedStateOf, SigningKeys } from '../domain/ledger/signing-keys.js'
import { JWT_TTL } from '../domain/mint.js'
import type { Projection } from './projection.js'

/** A row of signing_keys. Each step of a key's life has the entry's index and its time, RFC 3339 UTC. */
export interface SigningKeyRow {
  kid: string
  alg: string
  /** The public key, JSON. */
  jwk: string
  /** The ledger key's signature of the latest step, in base64: without it no row is believed. */
  signature: string | null
  published_index: number
  published_at: string
  activated_index: number | null
  activated_at: string | null
  retired_index: number | null
  retired_at: string | null
  revoked_index: number | null
  revoked_at: string | null
  revoked_reason: string | null
}

const STEPS = {
  SigningKeyPublished: `
    INSERT INTO signing_keys (kid, alg, jwk, signature, published_index, published_at)
    VALUES (@kid, @alg, @jwk, @signature, @index, @time)`,
  SigningKeyActivated: `
    UPDATE signing_keys SET activated_index = @index, activated_at = @time, signature = @signature WHERE kid = @kid`,
  SigningKeyRetired: `
    UPDATE signing_keys SET retired_index = @index, retired_at = @time, signature = @signature WHERE kid = @kid`,
  SigningKeyRevoked: `
    UPDATE signing_keys SET revoked_index = @index, revoked_at = @time, revoked_reason = @reason, signature = @signature
    WHERE kid = @kid`,
} satisfies Record<Extract<keyof EventData, `SigningKey${string}`>, string>

const ADOPTED = 'UPDATE signing_keys SET signature = @signature WHERE kid = @kid'

export const signingKeys: Projection = {
  schema: `
    CREATE TABLE signing_keys (
      kid TEXT PRIMARY KEY,
      alg TEXT NOT NULL,
      jwk TEXT NOT NULL,
      signature TEXT,
      published_index INTEGER NOT NULL,
      published_at TEXT NOT NULL,
      activated_index INTEGER,
      activated_at TEXT,
      retired_index INTEGER,
      retired_at TEXT,
      revoked_index INTEGER,
      revoked_at TEXT,
      revoked_reason TEXT
    ) STRICT;
  `,
  prepare(db) {
    const rows = db.prepare<[], SigningKeyRow>('SELECT * FROM signing_keys ORDER BY published_index')
    const published = db.prepare(STEPS.SigningKeyPublished)
    const activated = db.prepare(STEPS.SigningKeyActivated)
    const retired = db.prepare(STEPS.SigningKeyRetired)
    const revoked = db.prepare(STEPS.SigningKeyRevoked)
    const adopted = db.prepare(ADOPTED)
    return (event) => {
      const { index, time } = event
      // What the key's life does not allow changes nothing: a second publication puts no key under a name that is trusted.
      if (!isKeyEvent(event) || !keysOf(rows.all(), undefined).take(event, index)) return
      if (event.type === 'LedgerAdopted') {
        for (const { kid, signature } of event.data.keys) adopted.run({ kid, signature })
        return
      }
      const step = { ...event.data, signature: event.data.signature ?? null, index, time }
      if (event.type === 'SigningKeyPublished')
        published.run({ ...step, jwk: JSON.stringify(event.data.jwk) })
      else if (event.type === 'SigningKeyActivated') activated.run(step)
      else if (event.type === 'SigningKeyRetired') retired.run(step)
      else revoked.run(step)
    }
  },
}

/** The rows as the domain knows keys; `signatures` undefined: each is believed. */
function keysOf(rows: readonly SigningKeyRow[], signatures: LedgerSignatures | undefined): SigningKeys {
  const lastActivated = Math.max(...rows.map(({ activated_index }) => activated_index ?? -1))
  const keys = rows.flatMap((row) => knownKey(row, lastActivated) ?? [])
  return new SigningKeys(signatures, signatures ? keys.filter((key) => isBelieved(key, signatures)) : keys)
}

function knownKey(
  row: SigningKeyRow,
  lastActivated: number,
): (KnownKey & { signature: string | null }) | undefined {
  const jwk = jwkOf(row)
  if (!jwk) return undefined
  const { kid, signature } = row
  return { kid, thumbprint: thumbprint(jwk), state: stateOf(row, lastActivated), signed: true, signature }
}

function stateOf(row: SigningKeyRow, lastActivated: number): KnownKey['state'] {
  if (row.revoked_at !== null) return 'revoked'
  if (row.retired_at !== null) return 'retired'
  if (row.activated_index === null) return 'published'
  return row.activated_index === lastActivated ? 'active' : 'superseded'
}

function isBelieved(key: KnownKey & { signature: string | null }, signatures: LedgerSignatures): boolean {
  const { kid, thumbprint, state, signature } = key
  return signature !== null && signatures.isOfKey({ kid, thumbprint, state: signedStateOf(state) }, signature)
}

/**
 * Member by member: AWS refuses a key with key_ops, and a `d` must never be shown. Undefined where the row holds no key:
 * the file may have been written by another program.
 */
function jwkOf({ kid, jwk }: SigningKeyRow): PublicJwk | undefined {
  const { x, y } = membersOf(jwk)
  if (typeof x !== 'string' || typeof y !== 'string' || !isOnCurve({ x, y })) return undefined
  return { kty: 'EC', crv: 'P-256', x, y, kid, alg: 'ES256', use: 'sig' }
}

function membersOf(json: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/** How long a relying party may keep its copy of the JWKS, unless the operator says otherwise. */
const JWKS_CACHE_MS = 86_400_000

/**
 * After its retirement a key stays in the JWKS for the longest life of a token, for clocks that run behind, and for as
 * long as relying parties may keep their copy.
 */
export function retiredGraceMs(jwksCacheMs = JWKS_CACHE_MS): number {
  return (JWT_TTL.max + 300) * 1000 + jwksCacheMs
}

export interface Jwks {
  readonly keys: readonly PublicJwk[]
}

const NONE: Jwks = { keys: [] }

/**
 * What the ledger says of the keys, in memory on the main thread: answers whatever else is down. The projector shows it
 * the whole table whenever that changed; keys are few. Rows that the ledger key has not signed are as if they were not
 * there: write access to the read model is not enough to publish a key.
 */
export class KeysView {
  private rows: readonly SigningKeyRow[] = []
  private keys: SigningKeys
  private document: Jwks = NONE
  /** When the next retired key leaves the document, unix ms. */
  private staleAt = Infinity

  constructor(
    private readonly now: () => Date,
    private readonly signatures: LedgerSignatures,
    /** How long relying parties may keep a copy of the JWKS. */
    readonly jwksCacheMs = JWKS_CACHE_MS,
  ) {
    this.keys = new SigningKeys(signatures)
  }

  show(rows: readonly SigningKeyRow[]): void {
    this.keys = keysOf(rows, this.signatures)
    this.rows = rows.filter(({ kid }) => this.keys.get(kid))
    this.rebuildJwks()
  }

  /** The same object until something changes, so that its bytes can be kept. */
  jwks(): Jwks {
    if (this.now().getTime() >= this.staleAt) this.rebuildJwks()
    return this.document
  }

  /** The kid of the one key that may sign. */
  activeKid(): string | undefined {
    return this.keys.activeKid
  }

  /** When the key that may sign was taken into use. */
  activatedAt(): Date | undefined {
    const row = this.rows.find(({ kid }) => kid === this.keys.activeKid)
    return row?.activated_at ? new Date(row.activated_at) : undefined
  }

  /** Every key, in the order of publication, as it is after the entries that the read models hold. */
  all(): (KnownKey & { row: SigningKeyRow })[] {
    return this.rows.flatMap((row) => {
      const key = this.keys.get(row.kid)
      return key ? [{ ...key, row }] : []
    })
  }

  /** The rows of the keys in the JWKS, and when the next of them leaves it, unix ms. */
  served(): { count: number; leavesAt: number } {
    return { count: this.jwks().keys.length, leavesAt: this.staleAt }
  }

  /** When the key leaves the JWKS, unix ms; Infinity: it stays. */
  leavesAt(row: SigningKeyRow): number {
    if (row.revoked_at !== null) return Date.parse(row.revoked_at)
    if (row.retired_at === null) return Infinity
    const retired = Date.parse(row.retired_at)
    // Nothing was ever signed with it.
    return row.activated_index === null ? retired : retired + retiredGraceMs(this.jwksCacheMs)
  }

  /** A copy: as of now. */
  known(): SigningKeys {
    return this.keys.copy()
  }

  private rebuildJwks(): void {
    const now = this.now().getTime()
    const served = this.rows.filter((row) => row.revoked_at === null && this.leavesAt(row) > now)
    this.staleAt = Math.min(...served.map((row) => this.leavesAt(row)))
    this.document = { keys: served.flatMap((row) => jwkOf(row) ?? []) }
  }
}
