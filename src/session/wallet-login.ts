// Login by wallet: a challenge that is answered once, by the wallet it was made for. In memory: a restart forgets the
// challenges that are open, and the caller asks again.

import { randomBytes } from 'node:crypto'

import { type SignIn, signInMessage } from '../domain/sign-in-message.js'
import { parseWallet, type Wallet } from '../domain/wallet.js'
import { checksummed, signerOf } from './wallet-signature.js'

const LIFETIME_MS = 5 * 60_000
/** Anyone may ask for a challenge: the oldest ones are dropped, and nothing else grows. */
const MOST_OPEN = 10_000

export interface Challenge {
  requestId: string
  message: string
  nonce: string
  expiresAt: Date
  lifetimeSeconds: number
}

interface Open {
  wallet: Wallet
  message: string
  issuedAt: Date
  expiresAt: Date
}

export class WalletLogin {
  private readonly open = new Map<string, Open>()

  /** `origin`: as clients use it, https or loopback; the signed text names it. */
  constructor(
    private readonly origin: URL,
    private readonly now: () => Date,
  ) {}

  /** Undefined where `address` is no wallet, in lower case or in its EIP-55 spelling. */
  start(address: string, chainId: number): Challenge | undefined {
    const wallet = parseWallet(address)
    if (!wallet || (address !== wallet && address !== checksummed(wallet))) return undefined
    const nonce = randomBytes(16).toString('hex')
    const requestId = `siwe-${randomBytes(16).toString('hex')}`
    const issuedAt = this.now()
    const expiresAt = new Date(issuedAt.getTime() + LIFETIME_MS)
    const message = signInMessage({
      ...this.names(),
      address: checksummed(wallet),
      chainId,
      nonce,
      issuedAt,
      expiresAt,
    })
    this.open.set(requestId, { wallet, message, issuedAt, expiresAt })
    this.dropOldest()
    return { requestId, message, nonce, expiresAt, lifetimeSeconds: LIFETIME_MS / 1000 }
  }

  /**
   * The wallet, or undefined: unknown, used or expired challenge, or another signer. A challenge is used up by its first
   * answer, right or wrong, so that nothing can be guessed at it.
   */
  verify(requestId: string, signature: string): Wallet | undefined {
    const open = this.open.get(requestId)
    this.open.delete(requestId)
    const now = this.now()
    // A clock that was set back makes a challenge of the future: it is not valid yet.
    if (!open || now >= open.expiresAt || now < open.issuedAt) return undefined
    return signerOf(open.message, signature) === open.wallet ? open.wallet : undefined
  }

  private names(): Pick<SignIn, 'domain' | 'uri'> {
    return { domain: this.origin.host, uri: this.origin.origin }
  }

  /** A Map keeps the order in which challenges were made. */
  private dropOldest(): void {
    for (const id of this.open.keys()) {
      if (this.open.size <= MOST_OPEN) return
      this.open.delete(id)
    }
  }
}
