import { hash, sign } from 'node:crypto'

import type { PublicJwk } from '../domain/ledger/events.js'
import type { Claims, UnsignedJwt } from '../domain/mint.js'
import type { SigningKey } from './key-file.js'

/** A JWT that is laid out to the last byte and not signed yet: what the ledger records before the token exists. */
export interface PreparedJwt extends UnsignedJwt {
  signingInput: string
}

/** Lays out and signs JWTs, RFC 7515 compact form, ES256. */
export class TokenSigner {
  private readonly header: string

  constructor(private readonly key: SigningKey) {
    this.header = base64url(JSON.stringify({ typ: 'JWT', alg: 'ES256', kid: key.kid }))
  }

  get kid(): string {
    return this.key.kid
  }

  /** Its public half. */
  get jwk(): PublicJwk {
    return this.key.jwk
  }

  prepare(claims: Claims): PreparedJwt {
    const signingInput = `${this.header}.${base64url(JSON.stringify(claims))}`
    return { kid: this.key.kid, claims, signingInput, signingInputSha256: hash('sha256', signingInput) }
  }

  /** The JWT exists from here on: call it only when its JwtIssued is durable. */
  sign({ signingInput }: PreparedJwt): string {
    // RFC 7518 section 3.4 wants r ‖ s, not DER. One-shot and synchronous: half the processor time of WebCrypto.
    const signature = sign('sha256', Buffer.from(signingInput), {
      key: this.key.privateKey,
      dsaEncoding: 'ieee-p1363',
    })
    return `${signingInput}.${signature.toString('base64url')}`
  }
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url')
}
