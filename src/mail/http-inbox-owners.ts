// The table of inboxes, as the session backend keeps it. Asked with the mail router's token, which is good for nothing else.

import { parseWallet, type Wallet } from '../domain/wallet.js'
import { boundedBody } from '../remote/bounded-reply.js'
import type { InboxOwners } from './mail-store.js'

const TIMEOUT_MS = 10_000

export class HttpInboxOwners implements InboxOwners {
  constructor(
    private readonly url: string,
    private readonly token: string,
  ) {}

  async ownerOf(address: string): Promise<Wallet | undefined> {
    const query = new URLSearchParams({ address })
    const reply = await fetch(`${this.url}/inbox/owner?${query.toString()}`, {
      headers: { authorization: `Bearer ${this.token}` },
      // A redirect would carry the token elsewhere.
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    const body = reply.body ? Buffer.from(await boundedBody(reply.body)).toString() : ''
    const { wallet, reason } = membersOf(body)
    // A 404 alone could be a proxy's, or of a backend that has no such route: the mail would be set aside for good.
    if (reply.status === 404 && reason === 'no-such-thing') return undefined
    const owner = reply.status === 200 ? parseWallet(wallet) : undefined
    if (owner) return owner
    throw new Error(`the session backend gave no owner of an inbox (HTTP ${reply.status})`)
  }
}

function membersOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
