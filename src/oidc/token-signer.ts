import { hash, sign } from 'node:crypto'

import { LedgerError } from '../domain/ledger-error.js'
import { thumbprint } from '../domain/ledger/jwk.js'
import { activeOf } from '../domain/ledger/key-changes.js'
import type { SigningKeys } from '../domain/ledger/signing-keys.js'
import type { Claims, UnsignedJwt } from '../domain/mint.js'
import type { SigningKey } from './key-file.js'
import type { KeyRing } from './key-ring.js'

/** A JWT that is laid out to the last byte and not signed yet: what the ledger records before the token exists. */
export interface PreparedJwt extends UnsignedJwt {
  signingInput: string
  /** What signs it, whichever key is the active one by then. */
  key: SigningKey
}

interface Current {
  key: SigningKey
  header: string
}

/** Lays out and signs JWTs, RFC 7515 compact form, ES256, with the key that the ledger calls active. */
export class TokenSigner {
  private current: Current | undefined
  private readonly isOpen: boolean = false

  constructor(
    readonly ring: KeyRing,
    /** As of the last durable entry. */
    private readonly known: () => SigningKeys | undefined,
    /** Hears once of each key that becomes the active one while the broker runs. */
    private readonly onChange: (kid: string) => void = () => undefined,
  ) {
    // What is active now is no change, whether or not anything is signed before the next one.
    this.active()
    this.isOpen = true
  }

  /** Why nothing can be signed now. */
  problem(): string | undefined {
    const key = this.active()
    return 'problem' in key ? key.problem : undefined
  }

  /** Throws LedgerError where the active key is not here. */
  prepare(claims: Claims): PreparedJwt {
    const active = this.active()
    if ('problem' in active) throw new LedgerError('key-not-active', active.problem)
    const { key, header } = active
    const signingInput = `${header}.${base64url(JSON.stringify(claims))}`
    return { key, kid: key.kid, claims, signingInput, signingInputSha256: hash('sha256', signingInput) }
  }

  /**
   * The JWT exists from here on: call it only when its JwtIssued is durable. Throws LedgerError where the key was revoked
   * since: the ledger names a token then that never exists.
   */
  sign({ signingInput, key }: PreparedJwt): string {
    if (this.known()?.get(key.kid)?.state === 'revoked')
      throw new LedgerError('key-not-active', `the key ${key.kid} was revoked while this token was under way`)
    // RFC 7518 section 3.4 wants r ‖ s, not DER. One-shot and synchronous: half the processor time of WebCrypto.
    const signature = sign('sha256', Buffer.from(signingInput), {
      key: key.privateKey,
      dsaEncoding: 'ieee-p1363',
    })
    return `${signingInput}.${signature.toString('base64url')}`
  }

  private active(): Current | { problem: string } {
    const keys = this.known()
    const kid = keys?.activeKid
    if (this.current && this.current.key.kid === kid) return this.current
    const active = keys && activeOf(keys)
    if (!active) return { problem: 'the ledger has no active signing key: restart a broker that has one' }
    const key = this.ring.get(active.kid)
    if (!key || thumbprint(key.jwk) !== active.thumbprint) return { problem: this.missing(active.kid) }
    this.current = { key, header: headerOf(key) }
    if (this.isOpen) this.onChange(key.kid)
    return this.current
  }

  private missing(kid: string): string {
    return (
      `the signing key of this broker is not the active one: put the file of ${kid} into ${this.ring.folder}, or restart ` +
      "with it as BROKER_OIDC_KEYPAIR_PATH's"
    )
  }
}

function headerOf({ kid }: SigningKey): string {
  return base64url(JSON.stringify({ typ: 'JWT', alg: 'ES256', kid }))
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url')
}
