// Credentials of one session and role in memory: one mint at a time however many ask, renewed at half of their life.

import type { HeldCredentials } from './held-credentials.js'
import { freshness } from './freshness.js'

export interface HolderOptions {
  mint: () => Promise<HeldCredentials>
  now?: () => number
  /** Called when a renewal in the background failed; the credentials that are held are served on. */
  onRenewalFailed?: (error: Error) => void
}

/** After a renewal that failed, the next one waits: callers are served from memory and would start one each. */
const RETRY_MS = 5_000

export class CredentialHolder {
  private held: HeldCredentials | undefined
  private underWay: Promise<HeldCredentials> | undefined
  private retryAt = 0
  private readonly now: () => number

  constructor(private readonly options: HolderOptions) {
    this.now = options.now ?? Date.now
  }

  /** Never what has too little left. Rejects with what the mint failed with. */
  get(): Promise<HeldCredentials> {
    const { held } = this
    switch (held ? freshness(held, this.now()) : 'expired') {
      case 'fresh':
        return Promise.resolve(held as HeldCredentials)
      case 'renew':
        this.renewInBackground()
        return Promise.resolve(held as HeldCredentials)
      case 'expired':
        return this.renewed()
    }
  }

  private renewInBackground(): void {
    if (this.underWay || this.now() < this.retryAt) return
    this.renewed().catch((error: unknown) => {
      this.retryAt = this.now() + RETRY_MS
      this.options.onRenewalFailed?.(error as Error)
    })
  }

  private renewed(): Promise<HeldCredentials> {
    this.underWay ??= this.options
      .mint()
      .then((minted) => (this.held = minted))
      .finally(() => (this.underWay = undefined))
    return this.underWay
  }
}
