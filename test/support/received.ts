// What a caller is left with: every credential that ever reached it, to be held against the ledger.

import { createHash } from 'node:crypto'

import type { Reply } from './broker-process.js'
import type { VerifiedLedger } from './verified-ledger.js'

export interface JwtReply {
  jwt: string
  jti: string
  wallet: string
  expiration: number
  ledger: { origin: string; index: number; leaf_hash: string }
}

export interface CredsReply {
  access_key_id: string
  secret_access_key: string
  session_token: string
  expiration: number
  wallet: string
  mint_id: string
  ledger: { origin: string; index: number; leaf_hash: string }
}

export interface Problem {
  error: string
  message: string
}

export type MintReply = Reply<Partial<JwtReply & CredsReply & Problem>>

export class Received {
  private readonly jwts: { jti: string; signingInputSha256: string; index: number }[] = []
  private readonly keys: { mintId: string; accessKeyId: string; index: number }[] = []

  /** Notes the credential of an answer, if there is one in it, whatever its status says. */
  note({ body }: MintReply): void {
    if (body.jwt !== undefined) {
      const [header, payload] = body.jwt.split('.')
      const { jti } = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString()) as { jti: string }
      const signingInputSha256 = createHash('sha256').update(`${header}.${payload}`).digest('hex')
      this.jwts.push({ jti, signingInputSha256, index: body.ledger?.index ?? -1 })
    }
    if (body.secret_access_key !== undefined) {
      const { mint_id: mintId = '', access_key_id: accessKeyId = '' } = body
      this.keys.push({ mintId, accessKeyId, index: body.ledger?.index ?? -1 })
    }
  }

  get count(): { jwts: number; keys: number } {
    return { jwts: this.jwts.length, keys: this.keys.length }
  }

  /** One line for each credential that the ledger does not hold exactly once, at the place that its caller was given. */
  unexplainedBy(ledger: VerifiedLedger): string[] {
    const issued = ledger.of('JwtIssued').map(({ index, data: { mintId, signingInputSha256 } }) => {
      return `${mintId} ${signingInputSha256} at ${index}`
    })
    const minted = ledger.of('CredsMinted').map(({ index, data: { mintId, accessKeyId } }) => {
      return `${mintId} ${accessKeyId} at ${index}`
    })
    return [
      ...notOnce(
        this.jwts.map(({ jti, signingInputSha256, index }) => `${jti} ${signingInputSha256} at ${index}`),
        issued,
      ),
      ...notOnce(
        this.keys.map(({ mintId, accessKeyId, index }) => `${mintId} ${accessKeyId} at ${index}`),
        minted,
      ),
    ]
  }
}

function notOnce(held: readonly string[], recorded: readonly string[]): string[] {
  const counts = new Map<string, number>()
  for (const one of recorded) counts.set(one, (counts.get(one) ?? 0) + 1)
  return held.filter((one) => counts.get(one) !== 1)
}

/** The values that are there more than once. */
export function repeated(values: readonly string[]): string[] {
  return values.filter((value, i) => values.indexOf(value) !== i)
}
