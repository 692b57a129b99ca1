// The issuer's keys: a table in the read model, and its copy in memory from which JWKS is answered.

import type { EventData, PublicJwk } from '../domain/ledger/events.js'
import { JWT_TTL } from '../domain/mint.js'
import type { Projection } from './projection.js'

/** A row of signing_keys. Each step of a key's life has the entry's index and its time, RFC 3339 UTC. */
export interface SigningKeyRow {
  kid: string
  alg: string
  /** The public key, JSON. */
  jwk: string
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
    INSERT INTO signing_keys (kid, alg, jwk, published_index, published_at)
    VALUES (@kid, @alg, @jwk, @index, @time) ON CONFLICT (kid) DO NOTHING`,
  // Where a broker takes a retired key into use again, its tokens must verify again.
  SigningKeyActivated: `
    UPDATE signing_keys SET activated_index = @index, activated_at = @time, retired_index = NULL, retired_at = NULL
    WHERE kid = @kid`,
  SigningKeyRetired: `
    UPDATE signing_keys SET retired_index = @index, retired_at = @time WHERE kid = @kid`,
  SigningKeyRevoked: `
    UPDATE signing_keys SET revoked_index = @index, revoked_at = @time, revoked_reason = @reason
    WHERE kid = @kid AND revoked_index IS NULL`,
} satisfies Record<Extract<keyof EventData, `SigningKey${string}`>, string>

export const signingKeys: Projection = {
  schema: `
    CREATE TABLE signing_keys (
      kid TEXT PRIMARY KEY,
      alg TEXT NOT NULL,
      jwk TEXT NOT NULL,
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
    const published = db.prepare(STEPS.SigningKeyPublished)
    const activated = db.prepare(STEPS.SigningKeyActivated)
    const retired = db.prepare(STEPS.SigningKeyRetired)
    const revoked = db.prepare(STEPS.SigningKeyRevoked)
    return ({ type, data, index, time }) => {
      // The first publication of a kid stands: a second one cannot put another key under a name that is trusted.
      if (type === 'SigningKeyPublished')
        published.run({ ...data, jwk: JSON.stringify(data.jwk), index, time })
      else if (type === 'SigningKeyActivated') activated.run({ ...data, index, time })
      else if (type === 'SigningKeyRetired') retired.run({ ...data, index, time })
      else if (type === 'SigningKeyRevoked') revoked.run({ ...data, index, time })
    }
  },
}

/** After its retirement a key stays in the JWKS for the longest life of a token, and for clocks that run behind. */
export const RETIRED_STAYS_MS = (JWT_TTL.max + 300) * 1000

export interface Jwks {
  readonly keys: readonly PublicJwk[]
}

const NONE: Jwks = { keys: [] }

/**
 * What the ledger says of the keys, in memory on the main thread: answers whatever else is down. The projector shows it
 * the whole table whenever that changed; keys are few, and so the events are interpreted in one place only.
 */
export class KeysView {
  private rows: readonly SigningKeyRow[] = []
  private document: Jwks = NONE
  /** When the next retired key leaves the document, unix ms. */
  private staleAt = Infinity

  constructor(private readonly now: () => Date) {}

  show(rows: readonly SigningKeyRow[]): void {
    this.rows = rows
    this.lay()
  }

  /** The same object until something changes, so that its bytes can be kept. */
  jwks(): Jwks {
    if (this.now().getTime() >= this.staleAt) this.lay()
    return this.document
  }

  /** The key taken into use last, unless it was retired or revoked: no earlier one takes its place by itself. */
  activeKid(): string | undefined {
    let last: SigningKeyRow | undefined
    for (const row of this.rows) {
      if ((row.activated_index ?? -1) > (last?.activated_index ?? -1)) last = row
    }
    return last && last.retired_at === null && last.revoked_at === null ? last.kid : undefined
  }

  isPublished(kid: string): boolean {
    return this.rows.some((row) => row.kid === kid)
  }

  /** Retired or revoked: it must not be taken into use again. */
  isOver(kid: string): boolean {
    return this.rows.some((row) => row.kid === kid && (row.retired_at !== null || row.revoked_at !== null))
  }

  known(): { kid: string; over: boolean }[] {
    return this.rows.map(({ kid }) => ({ kid, over: this.isOver(kid) }))
  }

  private lay(): void {
    const now = this.now().getTime()
    const served = this.rows.filter((row) => row.revoked_at === null && leavesAt(row) > now)
    this.staleAt = Math.min(...served.map(leavesAt))
    this.document = { keys: served.map(publicJwk) }
  }
}

function leavesAt({ retired_at }: SigningKeyRow): number {
  return retired_at === null ? Infinity : Date.parse(retired_at) + RETIRED_STAYS_MS
}

/** Member by member: AWS refuses a key with key_ops, and nobody may ever see a `d`. */
function publicJwk({ jwk }: SigningKeyRow): PublicJwk {
  const { kty, crv, x, y, kid, alg, use } = JSON.parse(jwk) as PublicJwk
  return { kty, crv, x, y, kid, alg, use }
}
