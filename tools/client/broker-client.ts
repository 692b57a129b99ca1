// The broker as a program sees it: mint a token or AWS credentials, with every receipt verified before it is returned.

import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'

import type { Policy } from '../../src/domain/ledger/policy.js'
import { FormatError } from '../../src/domain/ledger/encoding.js'

import { parseBrokerUrl } from './broker-url.js'
import { brokerErrorCode, ClientError } from './errors.js'
import { exchange, type HttpReply, neverSent } from './exchange.js'
import { readCredentials, readJwt, type MintedCredentials, type MintedJwt } from './replies.js'
import { checkReceipt, ledgerPolicy } from './receipts.js'

/**
 * require  a mint whose receipt does not verify is refused with `receipt_invalid`
 * warn     it is returned, and `onReceiptProblem` is called
 * off      receipts are not looked at
 */
export type ReceiptMode = 'require' | 'warn' | 'off'

export interface BrokerClientOptions {
  /** The broker: https, or http on a loopback address. */
  url: string
  /** The session bearer, or where it comes from; asked for at every mint. */
  session: string | (() => string | Promise<string>)
  /** The ledger's verifier key, pinned. Without it receipts cannot be verified. */
  ledgerVkey?: string | undefined
  /** Default: `require` with a vkey, `off` without. */
  receipts?: ReceiptMode
  onReceiptProblem?: (error: ClientError) => void
  /** For one request and its whole reply. Default 15 s. */
  timeoutMs?: number
  /**
   * Tries of one mint, the first included. Repeated is what handed nothing out, and a request whose reply was lost: by its
   * Idempotency-Key the broker knows it again. Default 3.
   */
  attempts?: number
}

export interface JwtAsk {
  /** Default: the broker's, sts.amazonaws.com. */
  audience?: string
  ttlSeconds?: number
  /** An AWS role ARN that the token shall be good for. */
  role?: string
}

export interface CredentialsAsk {
  role?: string
  durationSeconds?: number
}

const TIMEOUT_MS = 15_000
const ATTEMPTS = 3
const LONGEST_PAUSE_MS = 5_000

export class BrokerClient {
  readonly url: URL
  private readonly policy: Policy | undefined
  private readonly receipts: ReceiptMode

  constructor(private readonly options: BrokerClientOptions) {
    this.url = parseBrokerUrl(options.url)
    this.policy = options.ledgerVkey === undefined ? undefined : pinned(options.ledgerVkey)
    this.receipts = options.receipts ?? (this.policy ? 'require' : 'off')
    if (this.receipts === 'require' && !this.policy)
      throw new ClientError('ledger_key_changed', 'receipts are required, and no ledger key is pinned')
  }

  /** A JWT for `audience`. Rejects with ClientError. */
  async mintJwt({ audience, ttlSeconds, role }: JwtAsk = {}): Promise<MintedJwt> {
    const minted = readJwt(await this.mint('v1/mint-oidc-jwt', { audience, ttl_seconds: ttlSeconds, role }))
    const { jwt, jti, wallet, expiresAt } = minted
    const exp = Math.floor(expiresAt.getTime() / 1000)
    this.check(minted, { type: 'JwtIssued', data: { mintId: jti, wallet, exp }, jwt })
    return minted
  }

  /** Temporary AWS credentials. Rejects with ClientError. */
  async mintAwsCredentials({ role, durationSeconds }: CredentialsAsk = {}): Promise<MintedCredentials> {
    const body = { role, duration_seconds: durationSeconds }
    const minted = readCredentials(await this.mint('v1/mint-aws-creds', body))
    const { mintId, wallet, roleArn, accessKeyId } = minted
    this.check(minted, { type: 'CredsMinted', data: { mintId, wallet, roleArn, accessKeyId } })
    return minted
  }

  private check(
    { ledger }: MintedJwt | MintedCredentials,
    expected: Parameters<typeof checkReceipt>[2],
  ): void {
    if (this.receipts === 'off' || !this.policy) return
    try {
      checkReceipt(ledger, this.policy, expected)
    } catch (error) {
      if (this.receipts === 'require' || !(error instanceof ClientError)) throw error
      this.options.onReceiptProblem?.(error)
    }
  }

  private async mint(path: string, ask: Record<string, unknown>): Promise<unknown> {
    const { session, timeoutMs = TIMEOUT_MS, attempts = ATTEMPTS } = this.options
    const bearer = typeof session === 'string' ? session : await session()
    const request = { method: 'POST', url: new URL(path, this.url), bearer, body: ask } as const
    let idempotencyKey = randomUUID()
    for (let attempt = 1; ; attempt += 1) {
      try {
        return jsonOf(await exchange({ ...request, idempotencyKey }, timeoutMs))
      } catch (error) {
        if (attempt >= attempts || !(error instanceof ClientError)) throw error
        const nothing = handedNothingOut(error)
        if (!nothing && error.code !== 'unreachable') throw error
        // The broker keeps a failure whose entry is in the ledger, and would repeat it; a lost reply is asked for again.
        if (nothing) idempotencyKey = randomUUID()
        await pause(pauseMs(attempt, error))
      }
    }
  }
}

/** Whether repeating the mint is safe: the request never arrived, or the broker said that nothing was handed out. */
function handedNothingOut(error: ClientError): boolean {
  return neverSent(error) || error.code === 'ledger_unavailable' || error.code === 'backend_unreachable'
}

/** Full jitter, so that many clients do not come back together; at least what Retry-After asks for. */
function pauseMs(attempt: number, { retryAfterSeconds = 0 }: ClientError): number {
  const backOffMs = Math.random() * 250 * 2 ** attempt
  return Math.min(LONGEST_PAUSE_MS, retryAfterSeconds * 1000 + backOffMs)
}

function pinned(vkey: string): Policy {
  try {
    return ledgerPolicy(vkey)
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    throw new ClientError('ledger_key_changed', `the pinned ledger key is not a vkey: ${error.message}`)
  }
}

function jsonOf(reply: HttpReply): unknown {
  const { status, headers, text } = reply
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = undefined
  }
  if (status === 200 && value !== undefined) return value
  const { error, message, reason } = (value ?? {}) as Record<string, unknown>
  const code = brokerErrorCode(error)
  const detail = {
    status,
    reason: typeof reason === 'string' ? reason : undefined,
    requestId: header(headers['x-request-id']),
    retryAfterSeconds: secondsOf(header(headers['retry-after'])),
  }
  if (!code || typeof message !== 'string')
    throw new ClientError('malformed_reply', `HTTP ${status} without the broker's error body`, detail)
  throw new ClientError(code, message, detail)
}

function header(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function secondsOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) : undefined
}
