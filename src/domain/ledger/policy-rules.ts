// The operator's policies as the ledger names them: by hash and by id.

/** In one policy. An entry that names the ids of all of them has room for so many. */
export const MOST_POLICIES = 200

export const POLICY_ID = /^[A-Za-z0-9._-]{1,64}$/

/** What is remembered of a ledger is bounded. A policy that is loaded again takes no room. */
const MOST_LOADED = 10_000

/** The policies that some broker of the ledger has decided by. */
export class LoadedPolicies {
  private readonly hashes: Set<string>

  constructor(hashes: Iterable<string> = []) {
    this.hashes = new Set(hashes)
  }

  has(sha256: string): boolean {
    return this.hashes.has(sha256)
  }

  all(): string[] {
    return [...this.hashes]
  }

  /** False: there is no room for it. */
  loaded(sha256: string): boolean {
    if (this.hashes.size >= MOST_LOADED && !this.hashes.has(sha256)) return false
    this.hashes.add(sha256)
    return true
  }
}
