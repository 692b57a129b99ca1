// The story, top to bottom. Every step checks what it shows; the first that does not hold ends it.

import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'

import type { Session } from '../broker-process.js'
import {
  copyLedger,
  cutOff,
  type Entry,
  exportEntries,
  rewriteEntry,
  verify,
  type Verdict,
  verifyReceipt,
} from './auditor.js'
import {
  type CredsReply,
  expectThat,
  type JwtReply,
  type LedgerReference,
  mint,
  post,
  type Refused,
} from './caller.js'
import type { Stage } from './stage.js'
import { callerIdentity, verifyJwt } from './stranger.js'
import { ledgerTable } from './table.js'
import { prefix, type Teller } from './teller.js'

const UNLISTED_ROLE = 'arn:aws:iam::111122223333:role/administrator'

export async function tellStory(tell: Teller, stage: Stage): Promise<void> {
  await tell.step(
    'A broker starts, beside a local stand-in for AWS STS and a local witness',
    'It makes its keys, opens its ledger, and asks STS whether it answers before it listens.',
    () => start(tell, stage),
  )
  const caller = await tell.step(
    'An agent gets a session',
    'The bearer is all an agent ever holds. The broker stores, logs and records its SHA-256 only.',
    () => openSession(tell, stage),
  )
  const jwt = await tell.step(
    'The agent asks for an OIDC token',
    'The ledger entry that announces the token is on disk before the token is signed.',
    () => mintJwt(tell, stage, caller),
  )
  await tell.step(
    'A stranger verifies the token',
    'Knowing the issuer URL alone: discovery, public keys over HTTP, signature, audience, expiry.',
    () => verifyAsStranger(tell, stage, jwt),
  )
  await tell.step(
    'A witness has seen it too',
    "Another party's program cosigned the ledger before the token left: it cosigns no other history of it.",
    () => verifyWitnessed(tell, stage, jwt),
  )
  const creds = await tell.step(
    'The agent asks for AWS credentials',
    'The broker trades a token of its own at STS. No long-lived AWS key exists anywhere.',
    () => mintCreds(tell, stage, caller),
  )
  await tell.step(
    'AWS is asked whose credentials these are',
    "GetCallerIdentity, through AWS's own SDK, signed with what the agent was given.",
    () => askAws(tell, stage, creds),
  )
  await tell.step(
    'The agent asks for a role that is not allowed',
    'A refusal is decided before STS is called, and is on record before the agent hears of it.',
    () => refuse(tell, stage, caller),
  )
  const entries = await tell.step(
    'The ledger, as an auditor reads it',
    'Every entry holds the hash of the one before. Hashes of tokens, access key ids, reasons: no secret.',
    () => readLedger(tell, stage, { jwt, creds }),
  )
  const verdict = await tell.step(
    'The auditor verifies it',
    'verify-ledger trusts neither broker nor operator: form, hashes, order, and what the entries mean.',
    () => verifyLedger(tell, stage, entries),
  )
  await tell.step(
    'An attacker with root rewrites a copy, to hide whose credentials those were',
    'The access key id in one entry is changed, and the file is otherwise as it was.',
    () => catchRewrite(tell, stage, creds),
  )
  await tell.step(
    'An attacker truncates another copy before the refusal',
    'No chain can show that its own tail is gone. An auditor who kept the size and head from step 10 can.',
    () => catchCut(tell, stage, verdict),
  )
  await tell.step('The broker is asked to stop', 'It finishes what is under way and closes its files.', () =>
    stop(tell, stage),
  )
}

async function start(tell: Teller, stage: Stage): Promise<void> {
  await stage.open()
  tell.holds('ready: /readyz answers 200')
  tell.fact('broker', stage.broker.url)
  tell.fact('local AWS', stage.aws.url)
  tell.fact('witness', stage.witness.url)
  tell.fact('data', stage.folder)
}

async function openSession(tell: Teller, { broker }: Stage): Promise<Session> {
  const caller = await broker.session('demo')
  tell.holds('a session at the embedded session backend')
  tell.fact('wallet', caller.wallet)
  tell.fact('bearer', prefix(caller.session, 6))
  return caller
}

async function mintJwt(tell: Teller, { broker }: Stage, { session, wallet }: Session): Promise<JwtReply> {
  const reply = await mint<JwtReply>(broker, '/v1/mint-oidc-jwt', session)
  expectThat(reply.wallet === wallet, `it was minted for ${reply.wallet}`)
  tell.holds(`POST /v1/mint-oidc-jwt: a token until ${clock(reply.expiration)}`)
  tell.fact('jwt', prefix(reply.jwt))
  tell.fact('jti', reply.jti)
  showReference(tell, reply.ledger)
  return reply
}

async function verifyAsStranger(
  tell: Teller,
  { broker }: Stage,
  { jwt, jti, wallet }: JwtReply,
): Promise<void> {
  const { payload, protectedHeader, jwksUri } = await verifyJwt(jwt, broker.url)
  expectThat(payload.jti === jti, `the token's jti is ${payload.jti}`)
  expectThat(payload.sub === `agentkeys:agent:${wallet}`, `the token's sub is ${payload.sub}`)
  tell.holds(`the signature is good: ${protectedHeader.alg}, key ${protectedHeader.kid}`)
  tell.fact('keys', jwksUri)
  tell.fact('sub', payload.sub)
  tell.fact('aud', String(payload.aud))
}

async function verifyWitnessed(tell: Teller, stage: Stage, { jwt, ledger }: JwtReply): Promise<void> {
  const { receipt = '' } = ledger
  const paths = {
    receipt: stage.path('mint.tlog-proof'),
    jwt: stage.path('token.jwt'),
    policy: stage.policyPath,
  }
  writeFileSync(paths.receipt, receipt)
  writeFileSync(paths.jwt, jwt)
  const [witness] = await verifyReceipt(paths)
  expectThat(witness !== undefined, 'the receipt has no cosignature')
  const { size } = stage.witness.latest(ledger.origin) ?? { size: 0 }
  expectThat(size > ledger.index, `the witness has seen ${size} entries only`)
  tell.holds('the receipt proves, offline, that the token is in a ledger that the witness has cosigned')
  tell.fact('cosigned by', witness)
}

async function mintCreds(tell: Teller, { broker }: Stage, { session }: Session): Promise<CredsReply> {
  const reply = await mint<CredsReply>(broker, '/v1/mint-aws-creds', session)
  tell.holds(`POST /v1/mint-aws-creds: credentials until ${clock(reply.expiration)}`)
  tell.fact('key id', reply.access_key_id)
  tell.fact('secret', prefix(reply.secret_access_key, 3))
  tell.fact('role', reply.role_arn)
  showReference(tell, reply.ledger)
  return reply
}

async function askAws(tell: Teller, { aws }: Stage, creds: CredsReply): Promise<void> {
  const { account, arn } = await callerIdentity(creds, aws.url)
  expectThat(arn.endsWith(creds.mint_id), `the session is ${arn}, which does not end in the mint's id`)
  const tagged = aws.session(creds.access_key_id)?.principalTags.get('agentkeys_user_wallet')
  expectThat(tagged === creds.wallet, `the session's wallet tag is ${tagged}`)
  tell.holds("AWS knows the session by the mint's id, and the wallet by its tag")
  tell.fact('account', account)
  tell.fact('arn', arn)
  tell.fact('tag', `agentkeys_user_wallet = ${tagged}`)
}

async function refuse(tell: Teller, { broker, aws }: Stage, { session }: Session): Promise<void> {
  const callsBefore = aws.calls.length
  const { status, body } = await post(broker, '/v1/mint-aws-creds', session, { role: UNLISTED_ROLE })
  const { error, message } = body as Refused
  expectThat(status === 403 && error === 'forbidden', `it answered ${status} ${error}`)
  const called = aws.calls.slice(callsBefore).filter(({ action }) => action !== 'GetCallerIdentity')
  expectThat(called.length === 0, `STS was called: ${called[0]?.action}`)
  tell.holds('403 forbidden, and STS was never asked')
  tell.fact('message', message)
}

async function readLedger(
  tell: Teller,
  { ledgerPath }: Stage,
  { jwt, creds }: { jwt: JwtReply; creds: CredsReply },
): Promise<Entry[]> {
  const entries = await exportEntries(ledgerPath)
  for (const line of ledgerTable(entries)) tell.line(`     ${line}`)

  const announced = entries[jwt.ledger.index]?.data
  const signingInput = jwt.jwt.slice(0, jwt.jwt.lastIndexOf('.'))
  const sha256 = createHash('sha256').update(signingInput).digest('hex')
  expectThat(
    announced?.['signingInputSha256'] === sha256,
    `entry ${jwt.ledger.index} is not about this token`,
  )
  tell.holds(`entry ${jwt.ledger.index} names exactly the token of step 3, by the SHA-256 of what was signed`)

  const minted = entries[creds.ledger.index]?.data
  expectThat(
    minted?.['accessKeyId'] === creds.access_key_id,
    `entry ${creds.ledger.index} is not about these keys`,
  )
  tell.holds(`entry ${creds.ledger.index} names the access key id of step 6`)

  const last = entries.at(-1)
  expectThat(last?.type === 'MintRefused', `the last entry is ${last?.type}, not MintRefused`)
  tell.holds(`entry ${last.index} is the refusal of step 8`)
  return entries
}

async function verifyLedger(
  tell: Teller,
  { ledgerPath }: Stage,
  entries: readonly Entry[],
): Promise<Verdict> {
  const verdict = await verify(ledgerPath)
  expectThat(verdict.ok && verdict.exitCode === 0, `verify-ledger found ${namesOf(verdict)}`)
  expectThat(verdict.size === entries.length, `it saw ${verdict.size} entries of ${entries.length}`)
  tell.holds(`VERIFIED: ${verdict.size} entries, exit code 0`)
  tell.fact('head', verdict.head)
  return verdict
}

async function catchRewrite(tell: Teller, stage: Stage, creds: CredsReply): Promise<void> {
  const copy = stage.path('rewritten.sqlite')
  const other = 'ASIAEXAMPLEEXAMPLE00'
  copyLedger(stage.ledgerPath, copy)
  rewriteEntry(copy, creds.ledger.index, (text) => text.replace(creds.access_key_id, other))
  tell.fact('entry', `${creds.ledger.index}: ${creds.access_key_id} becomes ${other}`)
  await caught(tell, await verify(copy), 'broken-link')
}

async function catchCut(tell: Teller, stage: Stage, remembered: Verdict): Promise<void> {
  const copy = stage.path('cut.sqlite')
  copyLedger(stage.ledgerPath, copy)
  cutOff(copy, remembered.size - 1)
  const alone = await verify(copy)
  expectThat(alone.ok, `without the remembered head it should pass, and it found ${namesOf(alone)}`)
  tell.fact('alone', `the copy passes: its ${alone.size} entries are a perfect chain`)
  await caught(tell, await verify(copy, remembered), 'cut-off')
}

async function caught(tell: Teller, { exitCode, findings }: Verdict, kind: string): Promise<void> {
  const found = findings.find((finding) => finding.kind === kind)
  expectThat(exitCode === 1 && found !== undefined, `verify-ledger ended with ${exitCode} and no ${kind}`)
  tell.holds(`caught: ${kind} at entry ${found.index}, exit code 1`)
  tell.fact('detail', found.detail)
  return Promise.resolve()
}

async function stop(tell: Teller, stage: Stage): Promise<void> {
  const code = await stage.broker.stop()
  expectThat(code === 0, `the broker ended with ${code}`)
  tell.holds('stopped cleanly, exit code 0')
}

function showReference(tell: Teller, { index, leaf_hash, receipt }: LedgerReference): void {
  tell.fact('ledger', `entry ${index}, leaf hash ${leaf_hash.slice(0, 16)}…`)
  if (receipt !== undefined)
    tell.fact('receipt', `${receipt.length} bytes, which prove the entry's place to anyone, offline`)
}

function namesOf({ findings }: Verdict): string {
  return findings.map(({ kind, index }) => `${kind} at entry ${index}`).join(', ') || 'nothing'
}

function clock(unixSeconds: number): string {
  return `${new Date(unixSeconds * 1000).toISOString().slice(11, 19)} UTC`
}
