// Makes test/vectors/ledgers.json: small ledgers, logs and receipts, good and bad, with the verdict that any verifier of
// docs/ledger-format.md must come to. The same bytes every time:
//
//   node dist/test/support/ledger-vectors.js > test/vectors/ledgers.json

import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'

import { canonicalize, type Json } from '../../src/domain/ledger/canonical.js'
import { parseSignedCheckpoint } from '../../src/domain/ledger/checkpoint.js'
import { leafHash } from '../../src/domain/ledger/entry.js'
import { type ApprovalRequested, approvalAsk, hashOfAsk } from '../../src/domain/ledger/approvals.js'
import type { PolicyVerdict } from '../../src/domain/ledger/events.js'
import type { FindingKind } from '../../src/domain/ledger/findings.js'
import { inclusionProof } from '../../src/domain/ledger/merkle.js'
import { formatVkey, signerFromSeed } from '../../src/domain/ledger/note.js'
import { formatProof } from '../../src/domain/ledger/proof.js'
import type { ReceiptProblem } from '../../src/domain/ledger/receipt.js'

import { type SignatureVectors, signatureVectors } from './signature-vectors.js'
import { GrownTree } from './grown-tree.js'
import { type Change, LedgerBuilder, ORIGIN, ROLE_ARN, sessionName, VKEY } from './ledger-builder.js'
import { signedHead, writeTiles } from './tile-writer.js'

type Found = [index: number, kind: FindingKind]

export interface LedgerVectors {
  /** One canonical entry each, from entry 0 on. */
  ledgers: { name: string; entries: string[]; head: string; findings: Found[] }[]
  /** Files below the prefix, in base64. */
  logs: { name: string; vkey: string; files: Record<string, string>; root: string; findings: Found[] }[]
  receipts: { name: string; vkey: string; receipt: string; jwt: string; problem: ReceiptProblem | null }[]
  signatures: SignatureVectors
}

export function ledgerVectors(): LedgerVectors {
  return { ledgers: ledgers(), logs: logs(), receipts: receipts(), signatures: signatureVectors() }
}

const good = LedgerBuilder.opened().oidcMint().awsMint().refused().refusalsCounted().texts

/** An entry with another value in its data; the chain after it is left as it is. */
const edited = (text: string, member: string, value: Json): string => {
  const entry = JSON.parse(text) as { data: Record<string, Json> }
  return canonicalize({ ...entry, data: { ...entry.data, [member]: value } })
}

/** What an attacker with write access makes of it: every index and link after a change is right again. */
const rechained = (texts: readonly string[]): string[] => {
  const chained: string[] = []
  for (const text of texts) {
    const last = chained.at(-1)
    const link = { index: chained.length, prev: last === undefined ? '0'.repeat(64) : leafHash(last) }
    chained.push(canonicalize({ ...(JSON.parse(text) as object), ...link }))
  }
  return chained
}

function ledgers(): LedgerVectors['ledgers'] {
  const cases: [string, readonly string[], Found[]][] = [
    ['good: one mint of each kind', good, []],
    ['good: opened and nothing more', good.slice(0, 1), []],
    ['good, though its tail was cut off: only a checkpoint can tell', good.slice(0, -1), []],
    ['empty', [], [[0, 'not-opened']]],
    ['a value edited', good.with(5, edited(good[5]!, 'aud', 'other')), [[6, 'broken-link']]],
    [
      'an entry removed',
      good.toSpliced(4, 1),
      [
        [4, 'wrong-index'],
        [5, 'broken-link'],
        [5, 'no-session'],
      ],
    ],
    ['an entry removed, and chained again', rechained(good.toSpliced(4, 1)), [[4, 'no-session']]],
    ['two entries swapped, and chained again', rechained(good.with(4, good[5]!).with(5, good[4]!)), swapped],
    [
      'a space added',
      good.with(5, good[5]!.replace(':', ': ')),
      [
        [5, 'not-canonical'],
        [6, 'broken-link'],
      ],
    ],
    [
      'members out of order',
      good.with(0, reversed(good[0]!)),
      [
        [0, 'not-canonical'],
        [1, 'broken-link'],
      ],
    ],
    [
      'no JSON',
      good.with(5, good[5]!.slice(0, -1)),
      [
        [5, 'malformed'],
        [6, 'broken-link'],
      ],
    ],
    ['another wallet, chained again', rechained(good.with(5, walletEdited())), [[5, 'wrong-wallet']]],
    ['a bearer in an entry', rechained(good.with(4, edited(good[4]!, 'token', 'x'))), unasked],
    [
      'an unknown event',
      rechained(good.with(9, good[9]!.replace('MintRefused', 'Mint'))),
      [[9, 'unknown-type']],
    ],
    ['good: a mint of a child session', childMint(['aws']), []],
    ['a child session given more than its scope', childMint(['s3']), [[6, 'outside-scope']]],
    ['good: a wallet cut off and restored', cutOff('restored'), []],
    ['a mint of a wallet that is cut off', cutOff('for good'), [[6, 'after-cut-off']]],
    ['good: two uses of a grant of two', grantedMints(2, 2), []],
    ['a use more than granted', grantedMints(1, 2), [[9, 'grant-used-up']]],
    ['a use of no grant', grantedMints(0, 1), [[5, 'grant-unknown']]],
    ['good: a mint that was approved', approvedMints('operator', 1), []],
    ['an approval used twice', approvedMints('operator', 2), [[11, 'approval-unusable']]],
    [
      'a mint approved by the wallet that asked',
      approvedMints('the requester', 1),
      [
        [6, 'approval-out-of-turn'],
        [8, 'approval-unusable'],
      ],
    ],
    [
      'another lifetime than was approved',
      approvedMints('operator', 1, { lifetimeSeconds: 60 }),
      [[9, 'outside-approval']],
    ],
    ['good: an S3-compatible STS that names no session', compatibleMint(null), []],
    ['good: an S3-compatible STS that names the session', compatibleMint(COMPATIBLE_SESSION), []],
    [
      'an S3-compatible STS that names another account',
      compatibleMint(OTHER_SESSION),
      [[6, 'wrong-assumed-role']],
    ],
    ['good: mints that a policy allowed and refused', decided('allow', 'deny'), []],
    ['a mint that the policy had refused', decided('deny', 'deny'), [[7, 'against-policy']]],
    ['a mint by a policy that was never loaded', undeclared(), [[5, 'policy-not-loaded']]],
    ['a mint twice', rechained([...good, ...good.slice(4, 6)]), timesBack],
  ]
  return cases.map(([name, entries, findings]) => {
    const last = entries.at(-1)
    return {
      name,
      entries: [...entries],
      head: last === undefined ? '0'.repeat(64) : leafHash(last),
      findings,
    }
  })
}

function childMint(services: string[]): string[] {
  const ledger = LedgerBuilder.opened()
  const mint = ledger.mint()
  return ledger.session(mint).scoped(mint, { services }).jwt(mint).texts
}

function decided(decision: PolicyVerdict, refusal: PolicyVerdict): string[] {
  const ledger = LedgerBuilder.opened()
  const [mint, refused] = [ledger.mint(), ledger.mint()]
  ledger.policyLoaded().session(mint).policyDecided(mint, { decision }).jwt(mint)
  ledger.refused(refused, 'policy-denied')
  return ledger.policyDecided(refused, { decision: refusal, policies: [] }).texts
}

function undeclared(): string[] {
  const ledger = LedgerBuilder.opened()
  const mint = ledger.mint()
  return ledger.session(mint).policyDecided(mint).jwt(mint).texts
}

function cutOff(until: 'restored' | 'for good'): string[] {
  const ledger = LedgerBuilder.opened()
  const mint = ledger.mint()
  const wallet = { kind: 'wallet', target: mint.wallet } as const
  ledger.cutOff(wallet, { reason: 'its laptop was stolen' })
  if (until === 'restored') ledger.restore(wallet)
  return ledger.oidcMint(mint).texts
}

const COMPATIBLE_SESSION = 'arn:aws:sts::assumed-role/agentkeys-data/'
const OTHER_SESSION = 'arn:aws:sts::123456789012:assumed-role/agentkeys-data/'

/** `prefix`: of the session's ARN, up to its name. */
function compatibleMint(prefix: string | null): string[] {
  const ledger = LedgerBuilder.opened()
  const mint = ledger.mint()
  const roleArn = 'arn:aws:iam::role/agentkeys-data'
  const assumedRoleArn = prefix && `${prefix}${sessionName(mint)}`
  return ledger.session(mint).stsJwt(mint, { roleArn }).credsMinted(mint, { roleArn, assumedRoleArn }).texts
}

/** A grant of so many uses, or none, and mints that use it. */
function grantedMints(uses: number, mints: number): string[] {
  const ledger = LedgerBuilder.opened()
  const { wallet } = ledger.mint()
  const grantId = 'grn-0196f1de-0000-7000-8000-000000000001'
  const what = { actions: ['oidc_jwt' as const], resources: ['sts.amazonaws.com'], by: 'operator' }
  const expiresAt = '2026-11-20T13:00:00Z'
  if (uses > 0) ledger.append({ type: 'GrantCreated', data: { grantId, wallet, uses, expiresAt, ...what } })
  for (let i = 0; i < mints; i += 1) {
    const mint = ledger.mint(wallet)
    ledger
      .session(mint)
      .append({ type: 'GrantUsed', data: { ...mint, grantId } })
      .jwt(mint)
  }
  return ledger.texts
}

/** A request that is approved, and mints that use the approval. */
function approvedMints(
  by: 'operator' | 'the requester',
  mints: number,
  change: Partial<ApprovalRequested> = {},
): string[] {
  const ledger = LedgerBuilder.opened()
  const { mintId, wallet } = ledger.mint()
  const approvalId = 'apr-0196f1de-0000-7000-8000-000000000001'
  const ask = approvalAsk({
    ...{ kind: 'oidc_jwt', wallet, audience: 'sts.amazonaws.com', lifetimeSeconds: 300 },
    ...change,
  })
  const expiresAt = '2026-11-20T13:00:00Z'
  const requested = { approvalId, mintId, tokenSha256: 'ab'.repeat(32), parents: [], expiresAt }
  const askSha256 = hashOfAsk(ask)
  ledger.refused({ mintId, wallet }, 'approval-required')
  ledger.append({ type: 'ApprovalRequested', data: { ...requested, ...ask, askSha256 } })
  const signed = by === 'operator' ? { by } : { by: wallet, signature: `0x${'ab'.repeat(65)}` }
  ledger.append({ type: 'ApprovalGranted', data: { approvalId, askSha256, expiresAt, ...signed } })
  for (let i = 0; i < mints; i += 1) {
    const mint = ledger.mint(wallet)
    ledger
      .session(mint)
      .append({ type: 'ApprovalUsed', data: { ...mint, approvalId } })
      .jwt(mint)
  }
  return ledger.texts
}

const swapped: Found[] = [
  [4, 'no-session'],
  [5, 'time-backwards'],
]
const unasked: Found[] = [
  [4, 'wrong-shape'],
  [5, 'no-session'],
]
const timesBack: Found[] = [
  [11, 'time-backwards'],
  [11, 'mint-id-repeated'],
  [12, 'mint-out-of-turn'],
]

function reversed(text: string): string {
  return JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(text) as object).reverse()))
}

function walletEdited(): string {
  const wallet = `0x${'0'.repeat(40)}`
  return edited(edited(good[5]!, 'wallet', wallet), 'sub', `agentkeys:agent:${wallet}`)
}

function logs(): LedgerVectors['logs'] {
  const entries = LedgerBuilder.opened().oidcMint().refused().entries
  const folder = mkdtempSync(join(tmpdir(), 'vectors-'))
  try {
    const root = parseSignedCheckpoint(writeTiles(folder, [entries])).root
    const files = filesBelow(folder)
    const stranger = signerFromSeed(ORIGIN, 'ed25519', new Uint8Array(32).fill(9))
    const [tile, bundle] = ['tile/0/000.p/7', 'tile/entries/000.p/7']
    const cases: [string, Record<string, Buffer | string>, Found[]][] = [
      ['good', {}, []],
      ['a bit of the tile flipped', { [tile]: flipped(files[tile]!) }, [[0, 'wrong-tile']]],
      ['the tile cut off', { [tile]: files[tile]!.subarray(32) }, [[0, 'wrong-tile']]],
      ['the bundle cut off', { [bundle]: files[bundle]!.subarray(0, -1) }, [[0, 'wrong-bundle']]],
      ['another root', { checkpoint: signedHead(7, new Uint8Array(32).fill(7)) }, [[6, 'wrong-root']]],
      ['another key', { checkpoint: signedHead(7, root, { signer: stranger }) }, [[6, 'not-signed']]],
      ['more signed than served', { checkpoint: signedHead(8, root) }, [[0, 'missing-tile']]],
    ]
    return cases.map(([name, changes, findings]) => ({
      ...{ name, vkey: VKEY, root: Buffer.from(root).toString('base64'), findings },
      files: Object.fromEntries(
        Object.entries({ ...files, ...changes }).map(([path, bytes]) => [
          path,
          Buffer.from(bytes).toString('base64'),
        ]),
      ),
    }))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function filesBelow(folder: string): Record<string, Buffer> {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name))
    .sort()
  return Object.fromEntries(paths.map((path) => [path.slice(folder.length + 1), readFileSync(path)]))
}

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  copy[0]! ^= 1
  return copy
}

function receipts(): LedgerVectors['receipts'] {
  const ledger = LedgerBuilder.opened()
  const mint = ledger.mint()
  const iat = Math.floor(ledger.now.getTime() / 1000)
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { sub: `agentkeys:agent:${mint.wallet}`, aud: 'sts.amazonaws.com', iat, exp: iat + 300 }
  const input = `${part({ alg: 'ES256', kid: ledger.kid, typ: 'JWT' })}.${part({ ...claims, jti: mint.mintId })}`
  // No signature of any key: a receipt speaks of what was signed, not of who signed it.
  const jwt = `${input}.${'A'.repeat(86)}`
  const change: Change<'JwtIssued'> = {
    ...{ iat, exp: iat + 300, roleArn: ROLE_ARN },
    signingInputSha256: createHash('sha256').update(input).digest('hex'),
  }
  const { texts } = ledger.session(mint).stsJwt(mint, change).credsMinted(mint)
  const receipt = (index: number, extra = texts[index]!): string => {
    const tree = new GrownTree(texts.map((text) => Buffer.from(text)))
    const checkpoint = parseSignedCheckpoint(signedHead(texts.length, tree.rootAt(texts.length)))
    const path = inclusionProof(index, texts.length, tree.read)
    return formatProof({ extra: Buffer.from(extra), index, path, checkpoint })
  }
  const stranger = formatVkey(signerFromSeed(ORIGIN, 'ed25519', new Uint8Array(32).fill(9)).key)
  const altered = texts[5]!.replace('"exp"', '"ext"')
  const other = `${part({ alg: 'ES256' })}.${part({})}.${'A'.repeat(86)}`
  return [
    { name: 'good', vkey: VKEY, receipt: receipt(5), jwt, problem: null },
    { name: 'another JWT', vkey: VKEY, receipt: receipt(5), jwt: other, problem: 'other-jwt' },
    { name: 'another key', vkey: stranger, receipt: receipt(5), jwt, problem: 'not-signed-by-log' },
    { name: 'the entry altered', vkey: VKEY, receipt: receipt(5, altered), jwt, problem: 'not-included' },
    {
      name: 'the entry of another index',
      vkey: VKEY,
      receipt: receipt(4, texts[5]),
      jwt,
      problem: 'not-included',
    },
    { name: 'an entry that announces no JWT', vkey: VKEY, receipt: receipt(6), jwt, problem: 'no-jwt-entry' },
    { name: 'no JWT', vkey: VKEY, receipt: receipt(5), jwt: `${jwt}A`, problem: 'not-a-jwt' },
  ]
}

if (argv[1] === fileURLToPath(import.meta.url))
  process.stdout.write(`${JSON.stringify(ledgerVectors(), null, 1)}\n`)
