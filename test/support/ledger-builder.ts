// Valid ledgers for tests and measurements: realistic entries, the same ones for the same seed.

import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'

import Database from 'better-sqlite3'

import { p256 } from '@noble/curves/nist.js'

import { chain, type Sealed } from '../../src/domain/ledger/entry.js'
import type {
  CredsFailureCode,
  CutOffTarget,
  EventData,
  EventOf,
  LedgerEvent,
  PublicJwk,
  RefusalReason,
} from '../../src/domain/ledger/events.js'
import { thumbprint } from '../../src/domain/ledger/jwk.js'
import { type SignedKeyState, signKey } from '../../src/domain/ledger/ledger-signature.js'
import type { Stored } from '../../src/event-store/event-store.js'
import { ORIGIN, SIGNER, signedEntry, VKEY } from './ledger-signer.js'

export { ORIGIN, VKEY } from './ledger-signer.js'
export const ROLE_ARN = 'arn:aws:iam::123456789012:role/agentkeys-data'

export interface Mint {
  mintId: string
  wallet: string
}

/** Members of an event to set otherwise than the builder would. */
export type Change<T extends keyof EventData> = Partial<EventData[T]>

/** Appends entries to a chain in memory. Every method appends at least one. */
export class LedgerBuilder {
  readonly entries: Sealed[] = []
  /** The clock; each append moves it on by `stepMs`. */
  now: Date
  kid = ''
  /** Off: key events as brokers wrote them before they were signed. */
  signsKeys = true
  private readonly thumbprints = new Map<string, string>()
  private last: Sealed | undefined
  private drawn = 0

  constructor(
    readonly seed = 1,
    readonly stepMs = 7,
    startAt = '2026-11-20T12:00:00.000Z',
  ) {
    this.now = new Date(startAt)
  }

  /** LedgerOpened, BrokerStarted, and a signing key in use: what every ledger begins with. */
  static opened(seed?: number): LedgerBuilder {
    return new LedgerBuilder(seed).open().brokerStarted().publishKey().activateKey()
  }

  get texts(): string[] {
    return this.entries.map((sealed) => sealed.text)
  }

  get head(): string {
    return this.last?.leafHash ?? '0'.repeat(64)
  }

  append(...events: LedgerEvent[]): this {
    for (const event of events) {
      this.last = chain(this.last, event, this.now)
      this.entries.push(this.last)
      this.now = new Date(this.now.getTime() + this.stepMs)
    }
    return this
  }

  /** Hands out the entries and forgets them; the chain goes on. */
  drain(): Sealed[] {
    return this.entries.splice(0)
  }

  open(change: Change<'LedgerOpened'> = {}): this {
    const data = { origin: ORIGIN, vkey: VKEY, software: 'agentkeys-broker/0.1.0', ...change }
    return this.append({ type: 'LedgerOpened', data })
  }

  brokerStarted(): this {
    const data = { node: 'node-a', version: '0.1.0', configSha256: this.hash('config') }
    return this.append({ type: 'BrokerStarted', data })
  }

  publishKey(kid = `v1-${Math.floor(this.now.getTime() / 1000) + this.drawn++}`): this {
    this.kid = kid
    return this.publishJwk(this.jwk(kid))
  }

  publishJwk(jwk: PublicJwk): this {
    const { kid } = jwk
    if (!this.thumbprints.has(kid)) this.thumbprints.set(kid, thumbprint(jwk))
    return this.append({ type: 'SigningKeyPublished', data: { ...this.keyData(kid, 'published'), jwk } })
  }

  activateKey(kid = this.kid): this {
    this.kid = kid
    return this.append({ type: 'SigningKeyActivated', data: this.keyData(kid, 'activated') })
  }

  retireKey(kid = this.kid): this {
    return this.append({ type: 'SigningKeyRetired', data: this.keyData(kid, 'retired') })
  }

  revokeKey(kid = this.kid): this {
    return this.append({
      type: 'SigningKeyRevoked',
      data: { ...this.keyData(kid, 'revoked'), reason: 'the key file was copied' },
    })
  }

  adopt(keys: readonly [kid: string, state: SignedKeyState][] = [], from = 0): this {
    const adopted = keys.map(([kid, state]) => ({ kid, state, signature: this.keySignature(kid, state) }))
    return this.append({
      type: 'LedgerAdopted',
      data: { from, software: 'agentkeys-broker/0.1.0', keys: adopted },
    })
  }

  session(mint = this.mint(), change: Change<'SessionValidated'> = {}): this {
    const data = { ...mint, tokenSha256: this.hash(mint.wallet), backend: 'embedded', ...change }
    return this.append({ type: 'SessionValidated', data })
  }

  scoped(mint: Mint, change: Change<'SessionScoped'> = {}): this {
    const parents = [{ wallet: `0x${'a'.repeat(40)}`, tokenSha256: this.hash('parent') }]
    const data = { ...mint, services: ['aws'], readOnly: false, parents, ...change }
    return this.append({ type: 'SessionScoped', data })
  }

  jwt(mint: Mint, change: Change<'JwtIssued'> = {}): this {
    return this.append({ type: 'JwtIssued', data: { ...this.jwtData(mint, 'oidc_jwt'), ...change } })
  }

  stsJwt(mint: Mint, change: Change<'JwtIssued'> = {}): this {
    const data = { ...this.jwtData(mint, 'sts'), roleArn: ROLE_ARN, ...change }
    return this.append({ type: 'JwtIssued', data })
  }

  credsRequested(mint: Mint, change: Change<'CredsRequested'> = {}): this {
    const data = {
      ...mint,
      roleArn: ROLE_ARN,
      roleSessionName: sessionName(mint),
      durationSeconds: 3_600,
      ...change,
    }
    return this.append({ type: 'CredsRequested', data })
  }

  credsMinted(mint: Mint, change: Change<'CredsMinted'> = {}): this {
    return this.append({ type: 'CredsMinted', data: { ...this.credsData(mint), ...change } })
  }

  credsFailed(
    mint: Mint,
    code: CredsFailureCode = 'throttled',
    change: Change<'CredsMintFailed'> = {},
  ): this {
    const data = { ...mint, roleArn: ROLE_ARN, code, detail: 'Rate exceeded', ...change }
    return this.append({ type: 'CredsMintFailed', data })
  }

  refused(
    mint = this.mint(),
    reason: RefusalReason = 'role-not-allowed',
    change: Change<'MintRefused'> = {},
  ): this {
    const data = {
      ...mint,
      tokenSha256: this.hash(mint.wallet),
      kind: 'aws_creds',
      reason,
      ...change,
    } as const
    return this.append({ type: 'MintRefused', data })
  }

  refusalsCounted(change: Change<'RefusalsCounted'> = {}): this {
    const since = new Date(this.now.getTime() - 60_000).toISOString()
    const data = {
      since,
      until: this.now.toISOString(),
      counts: { 'invalid-bearer': 17, 'no-bearer': 2 },
      ...change,
    }
    return this.append({ type: 'RefusalsCounted', data })
  }

  cutOff(target: CutOffTarget, change: Change<'AccessCutOff'> = {}): this {
    return this.append({ type: 'AccessCutOff', data: { ...target, ...change } })
  }

  restore(target: CutOffTarget): this {
    return this.append({ type: 'AccessRestored', data: target })
  }

  policyLoaded(change: Change<'PolicyLoaded'> = {}): this {
    const data = { node: 'node-a', sha256: this.hash('policy'), policies: 3, timezone: 'UTC', ...change }
    return this.append({ type: 'PolicyLoaded', data })
  }

  policyDecided(mint: Mint, change: Change<'PolicyDecided'> = {}): this {
    const decided = { policySha256: this.hash('policy'), decision: 'allow', policies: ['agents'] } as const
    const data = { ...mint, ...decided, policies: [...decided.policies], ...change }
    return this.append({ type: 'PolicyDecided', data })
  }

  /** A whole mint for a JWT: two entries. */
  oidcMint(mint = this.mint()): this {
    return this.session(mint).jwt(mint)
  }

  /** A whole mint for AWS credentials: three entries. */
  awsMint(mint = this.mint()): this {
    return this.session(mint).stsJwt(mint).credsMinted(mint)
  }

  /** One of a thousand wallets, and a mint id at the clock's time. */
  mint(wallet = `0x${this.hash(`wallet ${this.drawn % 1_000}`).slice(0, 40)}`): Mint {
    return { mintId: this.mintId(), wallet }
  }

  /** A UUIDv7, RFC 9562 section 5.7: later ones are greater, as each counts on from the last. */
  mintId(): string {
    const time = this.now.getTime().toString(16).padStart(12, '0')
    const count = (this.drawn++ & 0xfff).toString(16).padStart(3, '0')
    const chance = this.hash(`id ${this.drawn}`)
    return `${time.slice(0, 8)}-${time.slice(8)}-7${count}-8${chance.slice(0, 3)}-${chance.slice(3, 15)}`
  }

  /** The same key for the same kid. */
  jwk(kid: string): PublicJwk {
    const secret = createHash('sha256').update(`${this.seed} ${kid}`).digest()
    const point = Buffer.from(p256.getPublicKey(secret, false))
    const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((part) => part.toString('base64url'))
    return { kty: 'EC', crv: 'P-256', x: x!, y: y!, kid, alg: 'ES256', use: 'sig' }
  }

  private keyData(kid: string, state: SignedKeyState): { kid: string; alg: 'ES256'; signature?: string } {
    const data = { kid, alg: 'ES256' } as const
    return this.signsKeys ? { ...data, signature: this.keySignature(kid, state) } : data
  }

  private keySignature(kid: string, state: SignedKeyState): string {
    return signKey({ kid, thumbprint: this.thumbprints.get(kid) ?? 'unknown', state }, SIGNER)
  }

  private jwtData({ mintId, wallet }: Mint, purpose: 'oidc_jwt' | 'sts'): EventOf<'JwtIssued'>['data'] {
    const iat = Math.floor(this.now.getTime() / 1000)
    return {
      ...{ mintId, wallet, kid: this.kid, purpose, aud: 'sts.amazonaws.com', iat, exp: iat + 300 },
      ...{ sub: `agentkeys:agent:${wallet}`, signingInputSha256: this.hash(`jwt ${mintId}`) },
    }
  }

  private credsData(mint: Mint): EventOf<'CredsMinted'>['data'] {
    const name = sessionName(mint)
    return {
      ...{ ...mint, roleArn: ROLE_ARN, roleSessionName: name, durationSeconds: 3_600 },
      accessKeyId: `ASIA${this.hash(`access key ${mint.mintId}`).slice(0, 16).toUpperCase()}`,
      assumedRoleArn: `arn:aws:sts::123456789012:assumed-role/agentkeys-data/${name}`,
      expiresAt: new Date(this.now.getTime() + 3_600_000).toISOString(),
    }
  }

  private hash(of: string): string {
    return createHash('sha256').update(`${this.seed} ${of}`).digest('hex')
  }
}

/**
 * A ledger of exactly `size` entries, a batch at a time: per hundred mints about 54 JWTs, 40 AWS credentials, two
 * failures, one crash between asking STS and recording its answer, three refusals; a key rotation now and then.
 */
export function* ledgerOf(size: number, seed = 1): Generator<Sealed[]> {
  const ledger = LedgerBuilder.opened(seed)
  let given = 0
  for (let turn = 1; given < size; turn += 1) {
    appendTurn(ledger, turn)
    if (ledger.entries.length < 1_000 && given + ledger.entries.length < size) continue
    const batch = ledger.drain().slice(0, size - given)
    given += batch.length
    yield batch
  }
}

function appendTurn(ledger: LedgerBuilder, turn: number): void {
  const mint = ledger.mint()
  const kind = turn % 100
  if (kind < 54) ledger.oidcMint(mint)
  else if (kind < 90) ledger.awsMint(mint)
  else if (kind < 94) ledger.session(mint).credsRequested(mint).credsMinted(mint)
  else if (kind < 96) ledger.session(mint).stsJwt(mint).credsFailed(mint)
  else if (kind < 97) ledger.session(mint).stsJwt(mint)
  else ledger.refused(mint)
  if (turn % 500 === 0) ledger.refusalsCounted()
  if (turn % 50_000 === 0) rotate(ledger)
}

function rotate(ledger: LedgerBuilder): void {
  const former = ledger.kid
  ledger.publishKey().activateKey().retireKey(former)
}

export const SCHEMA =
  'CREATE TABLE ledger (idx INTEGER PRIMARY KEY CHECK (idx >= 0), entry TEXT NOT NULL) STRICT; ' +
  'CREATE TABLE signed_heads (idx INTEGER PRIMARY KEY CHECK (idx >= 0), signature TEXT NOT NULL) STRICT'

/** Writes the embedded ledger's file: each batch as one append of a broker, or as a store had it. Not durable: for tests. */
export function writeSqlite(path: string, batches: Iterable<readonly (Sealed | Stored)[]>): void {
  const database = new Database(path)
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = OFF')
  database.exec(SCHEMA)
  const insert = database.prepare('INSERT INTO ledger (idx, entry) VALUES (?, ?)')
  const sign = database.prepare('INSERT INTO signed_heads (idx, signature) VALUES (?, ?)')
  let index = 0
  const write = database.transaction((batch: readonly (Sealed | Stored)[]) => {
    for (const [i, each] of batch.entries()) {
      insert.run(index, each.text)
      const written = 'entry' in each && i === batch.length - 1 ? signedEntry(each) : each
      if ('signature' in written) sign.run(index, written.signature)
      index += 1
    }
  })
  for (const batch of batches) write(batch)
  database.close()
}

/** Writes an export: one entry a line. */
export function writeJsonl(path: string, texts: readonly string[]): void {
  writeFileSync(path, texts.map((text) => `${text}\n`).join(''))
}

export function sessionName({ mintId }: Mint): string {
  return `agentkeys-${mintId}`
}
