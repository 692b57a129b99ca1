// verify-ledger receipt: offline, with a receipt and the log's key.

import { parseArgs } from 'node:util'

import { canonicalize, type Json } from '../../src/domain/ledger/canonical.js'
import type { Entry } from '../../src/domain/ledger/entry.js'
import { type Policy } from '../../src/domain/ledger/policy.js'
import { parseProof, type TlogProof } from '../../src/domain/ledger/proof.js'
import { type ReceiptProblem, type ReceiptVerdict, verifyReceipt } from '../../src/domain/ledger/receipt.js'
import { FormatError } from '../../src/domain/ledger/encoding.js'

import { attempt } from './arguments.js'
import { printable } from './report.js'
import { UsageError } from './usage-error.js'
import { parsed, parseTrust } from './verify.js'

const OPTIONS = {
  json: { type: 'boolean' },
  vkey: { type: 'string' },
  policy: { type: 'string' },
  receipt: { type: 'string' },
  jwt: { type: 'string' },
  entry: { type: 'string' },
} as const

export function receiptCommand(args: readonly string[]): number {
  const { values } = attempt(() => parseArgs({ args: [...args], options: OPTIONS }))
  const { receipt, jwt, entry } = values
  if (receipt === undefined) throw new UsageError('--receipt FILE is missing')
  const policy = parsePolicyOf(values.vkey, values.policy)
  if (jwt !== undefined && JWT.test(jwt.trim()))
    throw new UsageError(
      '--jwt takes the name of a file, and this is the token itself: every user of the machine can read a command line',
    )
  const proof = parsed('--receipt', receipt, parseReceipt)
  const verdict = verifyReceipt(proof, policy, {
    entry: entry === undefined ? undefined : parsed('--entry', entry, withoutLf),
    jwt:
      jwt === undefined ? undefined : parsed('--jwt', jwt, (bytes) => Buffer.from(bytes).toString().trim()),
  })
  const compared = { jwt: jwt !== undefined, entry: entry !== undefined }
  process.stdout.write(values.json ? jsonVerdict(verdict, compared) : textVerdict(verdict, compared))
  return verdict.ok ? 0 : 1
}

const JWT = /^[\w-]{2,}\.[\w-]{2,}\.[\w-]{2,}$/

/** A receipt has one form. The most frequent mistakes are named. */
function parseReceipt(bytes: Uint8Array): TlogProof {
  if (bytes.at(-1) === 0x0a && bytes.at(-2) === 0x0a)
    throw new FormatError('bad-line', 'it ends in a blank line: write it with jq -j, not with jq -r')
  return parseProof(bytes)
}

/** A receipt proves nothing without a key: here the log cannot vouch for itself. */
function parsePolicyOf(vkey: string | undefined, policyFile: string | undefined): Policy {
  const [key, policy] = parseTrust(vkey, policyFile)
  if (key) return { ...(policy ?? { witnesses: [], groups: [], quorum: 'none' }), logs: [{ key }] }
  if (policy && policy.logs.length > 0) return policy
  throw new UsageError(
    '--vkey V is missing: a receipt is worth what the key is worth that it is checked with',
  )
}

/** A line of an export is an entry and a line feed; no canonical text ends in one. */
function withoutLf(bytes: Uint8Array): Uint8Array {
  return bytes.at(-1) === 0x0a ? bytes.subarray(0, -1) : bytes
}

const MEANS = {
  'unknown-origin': 'the receipt is of another log than the key',
  'not-signed-by-log': 'the checkpoint in the receipt is not signed by the key',
  'bad-signature': 'a signature of the checkpoint in the receipt does not verify',
  'quorum-missing': "too few of the policy's witnesses cosigned the checkpoint in the receipt",
  'not-included': 'the receipt does not prove this entry: it is another one, or it was altered',
  'no-entry': 'the receipt does not carry its entry: give it with --entry FILE, one line of an export',
  'not-an-entry': 'what was logged there is no entry of a credential ledger',
  'wrong-index': 'the entry was logged at another place than it says: the log is not sound there',
  'no-jwt-entry': 'the entry was logged, and it announces no JWT',
  'not-a-jwt': 'the file holds no JWT signed with ES256, or more than that',
  'other-jwt': 'the entry was logged, and it announces another JWT than this one',
  'other-claims': 'the entry was logged, and says other things of this JWT than the JWT does',
} satisfies Record<ReceiptProblem, string>

/** What the reader gave to be compared with the receipt; with neither, it is the receipt's own entry that is proven. */
interface Compared {
  jwt: boolean
  entry: boolean
}

function jsonVerdict(verdict: ReceiptVerdict, compared: Compared): string {
  if (!verdict.ok) return `${JSON.stringify({ ...verdict, detail: MEANS[verdict.problem] })}\n`
  const { entry, leafHash, cosignatures, log } = verdict
  const witnesses = cosignatures.map(({ witness, time }) => ({ witness: witness.name, time }))
  const report = { ok: true, origin: log.name, leafHash, entry, compared, cosignatures: witnesses }
  return `${JSON.stringify(report)}\n`
}

function textVerdict(verdict: ReceiptVerdict, compared: Compared): string {
  if (!verdict.ok) return `NOT PROVEN: ${verdict.problem}\n  ${MEANS[verdict.problem]}\n`
  const { entry, log, cosignatures } = verdict
  const lines = [
    `log      ${log.name}`,
    `entry    ${entry.index}, ${entry.type}, ${entry.time}`,
    ...['mintId', 'wallet', 'kid', 'roleArn', 'accessKeyId'].flatMap((member) =>
      typeof entry.data[member] === 'string' ? [`${member.padEnd(8)} ${entry.data[member]}`] : [],
    ),
    ...cosignatures.map(({ witness }) => `witness  ${witness.name}`),
    '',
    ...provenLines(entry, compared),
  ]
  return `${lines.map(printable).join('\n')}\n`
}

function provenLines(entry: Entry, { jwt, entry: given }: Compared): string[] {
  if (jwt) return ['PROVEN: this JWT, byte for byte up to its signature, was logged.']
  if (given) return ['PROVEN: this entry, byte for byte, was logged.']
  return [
    canonicalize(entry as unknown as Json),
    '',
    'PROVEN: the entry that the receipt carries, the line above, was logged.',
    'It was compared with no JWT and with no entry of yours: --jwt FILE or --entry FILE does that.',
  ]
}
