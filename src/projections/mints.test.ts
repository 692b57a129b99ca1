import { afterEach, describe, expect, test } from '@jest/globals'
import type Sqlite from 'better-sqlite3'

import { LedgerBuilder, type Mint, ROLE_ARN } from '../../test/support/ledger-builder.js'
import { project } from '../../test/support/project.js'
import { mints, type MintRow, STATES } from './mints.js'

let db: Sqlite.Database | undefined
afterEach(() => void db?.close())

/** The rows made of what `tell` appends after the four entries every ledger begins with. */
function rowsOf(tell: (ledger: LedgerBuilder) => void): { rows: MintRow[]; ledger: LedgerBuilder } {
  const ledger = LedgerBuilder.opened()
  tell(ledger)
  db = project(mints, ledger.entries)
  return { rows: db.prepare<[], MintRow>('SELECT * FROM mints ORDER BY first_index').all(), ledger }
}

const WALLET = `0x${'ab'.repeat(20)}`
const mintOf = (ledger: LedgerBuilder): Mint => ledger.mint(WALLET)
const dataOf = (ledger: LedgerBuilder, index: number) => ledger.entries[index]?.entry.data
const timeOf = (ledger: LedgerBuilder, index: number) => ledger.entries[index]?.entry.time

const NOTHING = {
  agent: null,
  reason: null,
  detail: null,
  role_arn: null,
  aud: null,
  kid: null,
  sub: null,
  iat: null,
  exp: null,
  signing_input_sha256: null,
  role_session_name: null,
  access_key_id: null,
  assumed_role_arn: null,
  expires_at: null,
  duration_seconds: null,
  jwt_issued_index: null,
  creds_minted_index: null,
}

describe('a row of mints', () => {
  test('of a JWT holds everything its two entries say', () => {
    const { rows, ledger } = rowsOf((ledger) => {
      const mint = mintOf(ledger)
      ledger.session(mint, { agent: 'crawler' }).jwt(mint, { aud: 'vault', roleArn: ROLE_ARN })
    })
    const [session, jwt] = [dataOf(ledger, 4), dataOf(ledger, 5)]
    expect(rows).toEqual([
      {
        ...NOTHING,
        first_index: 4,
        last_index: 5,
        mint_id: session?.['mintId'],
        kind: 'oidc_jwt',
        wallet: WALLET,
        token_sha256: session?.['tokenSha256'],
        backend: 'embedded',
        agent: 'crawler',
        outcome: 'ok',
        role_arn: ROLE_ARN,
        aud: 'vault',
        kid: ledger.kid,
        sub: `agentkeys:agent:${WALLET}`,
        iat: jwt?.['iat'],
        exp: jwt?.['exp'],
        signing_input_sha256: jwt?.['signingInputSha256'],
        first_seen_at: timeOf(ledger, 4),
        last_changed_at: timeOf(ledger, 5),
        jwt_issued_index: 5,
      },
    ])
  })

  test('of AWS credentials has the indexes of both entries that can be proved', () => {
    const { rows, ledger } = rowsOf((ledger) => ledger.awsMint(mintOf(ledger)))
    const creds = dataOf(ledger, 6)
    expect(rows[0]).toMatchObject({
      first_index: 4,
      last_index: 6,
      kind: 'aws_creds',
      outcome: 'ok',
      jwt_issued_index: 5,
      creds_minted_index: 6,
      role_arn: ROLE_ARN,
      role_session_name: creds?.['roleSessionName'],
      access_key_id: creds?.['accessKeyId'],
      assumed_role_arn: creds?.['assumedRoleArn'],
      expires_at: creds?.['expiresAt'],
      duration_seconds: 3600,
      last_changed_at: timeOf(ledger, 6),
    })
  })

  test('is pending from the announcement to the outcome, in both STS modes', () => {
    const { rows } = rowsOf((ledger) => {
      const [web, role] = [mintOf(ledger), mintOf(ledger)]
      ledger.session(web).stsJwt(web).session(role).credsRequested(role)
    })
    expect(rows.map(({ kind, outcome }) => [kind, outcome])).toEqual([
      ['aws_creds', 'pending'],
      ['aws_creds', 'pending'],
    ])
    expect(rows[1]).toMatchObject({ role_arn: ROLE_ARN, duration_seconds: 3600, jwt_issued_index: null })
  })

  test('has no kind while only its session is known', () => {
    const { rows } = rowsOf((ledger) => ledger.session(mintOf(ledger)))
    expect(rows[0]).toMatchObject({
      ...NOTHING,
      kind: null,
      outcome: 'pending',
      first_index: 4,
      last_index: 4,
    })
  })

  test('of a failed exchange says why', () => {
    const { rows } = rowsOf((ledger) => {
      const mint = mintOf(ledger)
      ledger.session(mint).stsJwt(mint).credsFailed(mint, 'access-denied', { detail: 'Not authorized' })
    })
    expect(rows[0]).toMatchObject({
      kind: 'aws_creds',
      outcome: 'sts_error',
      reason: 'access-denied',
      detail: 'Not authorized',
      creds_minted_index: null,
    })
  })

  test('of a refusal needs no session entry', () => {
    const { rows, ledger } = rowsOf((ledger) =>
      ledger.refused(mintOf(ledger), 'role-not-allowed', { detail: 'no' }),
    )
    expect(rows[0]).toMatchObject({
      kind: 'aws_creds',
      outcome: 'refused',
      reason: 'role-not-allowed',
      detail: 'no',
      wallet: WALLET,
      token_sha256: dataOf(ledger, 4)?.['tokenSha256'],
      backend: null,
    })
  })

  test('keeps the wallet of the session, whatever a later entry claims', () => {
    const { rows } = rowsOf((ledger) => {
      const mint = mintOf(ledger)
      ledger.session(mint).jwt({ ...mint, wallet: `0x${'cd'.repeat(20)}` })
    })
    expect(rows[0]?.wallet).toBe(WALLET)
  })

  test('is always in one of the states that the audit query walks', () => {
    const { rows } = rowsOf((ledger) => {
      const [a, b, c, d, e] = Array.from({ length: 5 }, () => mintOf(ledger)) as [
        Mint,
        Mint,
        Mint,
        Mint,
        Mint,
      ]
      ledger
        .oidcMint(a)
        .awsMint(b)
        .session(c)
        .refused(d)
        .refused(e, 'ttl-out-of-bounds', { kind: 'oidc_jwt' })
      // What no honest broker writes: every mint goes on after its end.
      for (const mint of [a, b, c, d, e]) ledger.credsFailed(mint).jwt(mint).credsRequested(mint)
      ledger
        .jwt(a)
        .credsMinted(b)
        .credsFailed(c)
        .refused(e, 'ttl-out-of-bounds', { kind: 'oidc_jwt' })
        .stsJwt(d)
    })
    const states = STATES.map((state) => state.join())
    expect(
      rows.map(({ kind, outcome }) => [kind, outcome].join()).filter((s) => !states.includes(s)),
    ).toEqual([])
    expect(rows.length).toBe(5)
  })
})

describe('mint_log, for queries written for the original broker', () => {
  test('has one row a mint with the columns and values of old', () => {
    const { ledger } = rowsOf((ledger) => {
      const failed = mintOf(ledger)
      ledger.oidcMint(mintOf(ledger)).awsMint(mintOf(ledger))
      ledger.session(failed).stsJwt(failed).credsFailed(failed)
      ledger.refused(mintOf(ledger))
    })
    const seconds = (index: number) => Math.floor(Date.parse(timeOf(ledger, index) ?? '') / 1000)
    const common = { requester_wallet: WALLET, requester_token_hash: dataOf(ledger, 4)?.['tokenSha256'] }
    expect(db?.prepare('SELECT * FROM mint_log ORDER BY minted_at, id').all()).toEqual([
      {
        ...common,
        id: 4,
        minted_at: seconds(4),
        requested_role: 'oidc_jwt',
        session_duration_seconds: 300,
        sts_session_name: ledger.kid,
        outcome: 'ok',
        outcome_detail: null,
      },
      {
        ...common,
        id: 6,
        minted_at: seconds(6),
        requested_role: ROLE_ARN,
        session_duration_seconds: 3600,
        sts_session_name: dataOf(ledger, 8)?.['roleSessionName'],
        outcome: 'ok',
        outcome_detail: null,
      },
      {
        ...common,
        id: 9,
        minted_at: seconds(9),
        requested_role: ROLE_ARN,
        session_duration_seconds: null,
        sts_session_name: null,
        outcome: 'sts_error',
        outcome_detail: 'throttled: Rate exceeded',
      },
      {
        ...common,
        id: 12,
        minted_at: seconds(12),
        requested_role: null,
        session_duration_seconds: null,
        sts_session_name: null,
        outcome: 'refused',
        outcome_detail: 'role-not-allowed',
      },
    ])
  })
})
