import { formatSignedCheckpoint } from '../../src/domain/ledger/checkpoint.js'
import { GENESIS } from '../../src/domain/ledger/entry.js'
import type { Finding } from '../../src/domain/ledger/findings.js'
import { formatVkey } from '../../src/domain/ledger/note.js'
import type { Expected, Verdict } from '../../src/domain/ledger/verify.js'
import { encodeBase64 } from '../../src/domain/ledger/encoding.js'

import type { KeyFrom } from './trust.js'
import type { Outcome } from './verification.js'

export interface Report {
  source: string
  outcome: Outcome
  seconds: number
  expected: Expected | undefined
}

export function jsonReport({ outcome, seconds }: Report): string {
  const { verdict, root, resumedFrom } = outcome
  const { ok, size, head, firstFinding, findingCount, findingsByKind, findings, counts } = verdict
  const speed = { seconds: Number(seconds.toFixed(3)), entriesPerSecond: rate(outcome, seconds) }
  const log = outcome.checkpoint && {
    origin: outcome.checkpoint.origin,
    size: outcome.checkpoint.size,
    root: encodeBase64(outcome.checkpoint.root),
    key: outcome.key && formatVkey(outcome.key),
    keyFrom: outcome.keyFrom,
    cosignatures: outcome.cosignatures.map(({ witness, time }) => ({ witness: witness.name, time })),
    consistentWith: outcome.consistentWith,
    evidence: outcome.evidence,
    note: formatSignedCheckpoint(outcome.checkpoint),
  }
  const report = {
    ...{
      ok,
      size,
      head,
      root: root && encodeBase64(root),
      resumedFrom,
      entriesRead: size - resumedFrom,
      signedSize: outcome.signedSize,
      log,
    },
    notRemembered: outcome.notRemembered,
    ...{ firstFinding, findingCount, findingsByKind, findings, counts, ...speed },
  }
  return `${JSON.stringify(report)}\n`
}

export function textReport(report: Report): string {
  const { source, outcome, seconds } = report
  const { verdict, resumedFrom } = outcome
  const lines = [
    `ledger   ${source}`,
    ...logLines(outcome),
    `size     ${number(verdict.size)} entries${resumedFrom > 0 ? `, of which ${number(verdict.size - resumedFrom)} were read now and ${number(resumedFrom)} are trusted from last time` : ''}`,
    `head     ${verdict.head ?? 'the last entry is unreadable'}`,
    ...mintLines(verdict.counts),
    `time     ${seconds.toFixed(1)} s, ${number(rate(outcome, seconds))} entries/s`,
    '',
    ...(verdict.ok ? verifiedLines(report) : findingLines(outcome)),
  ]
  return `${lines.map(printable).join('\n')}\n`
}

const KEY_FROM = {
  given: 'the key you gave',
  policy: 'a key of your policy',
  remembered: 'the key of your last run, which you never gave: --vkey shows that it is the right one',
  itself:
    'the key that the log names itself: that proves nothing until you compare it, and give it with --vkey',
} satisfies Record<KeyFrom, string>

function logLines({ checkpoint, key, keyFrom, cosignatures }: Outcome): string[] {
  if (!checkpoint) return []
  return [
    `origin   ${checkpoint.origin}`,
    `root     ${encodeBase64(checkpoint.root)} of ${number(checkpoint.size)} entries`,
    `signed   ${keyFrom ? `with ${KEY_FROM[keyFrom]}` : 'by no key that is known'}`,
    ...(key ? [`key      ${formatVkey(key)}`] : []),
    ...cosignatures.map(({ witness, time }) => `witness  ${witness.name}, ${timeText(time)}`),
  ]
}

/** A witness may name a time that no calendar has. */
function timeText(unixSeconds: number): string {
  const date = new Date(unixSeconds * 1000)
  return Number.isNaN(date.getTime()) ? `${unixSeconds} s since 1970` : date.toISOString()
}

function mintLines({ byType, unanswered }: Verdict['counts']): string[] {
  const count = (type: keyof typeof byType): string => number(byType[type] ?? 0)
  return [
    `mints    ${count('SessionValidated')} begun, ${count('MintRefused')} refused, ${count('JwtIssued')} JWTs`,
    `AWS      ${count('CredsMinted')} credentials, ${count('CredsMintFailed')} failed, ${number(unanswered)} without a recorded outcome`,
  ]
}

function verifiedLines({ outcome, expected }: Report): string[] {
  const { verdict, consistentWith } = outcome
  const remembered =
    expected?.head !== undefined && `The first ${number(expected.size)} entries are those you remember.`
  return [
    ...headlines(outcome),
    ...(outcome.otherKeyRemembered
      ? ['What was remembered is of another key than the one you gave: nothing was held against it.']
      : []),
    ...(remembered ? [remembered] : []),
    ...consistentWith.map(
      (size) => `It has grown from the checkpoint of ${number(size)} entries: nothing before was changed.`,
    ),
    ...(outcome.root ? logVerifiedLines(outcome) : ['', ...nextTimeLines(verdict)]),
  ]
}

/** VERIFIED is said of nothing that no signature vouches for. */
function headlines({ verdict: { size }, signedSize, resumedFrom, keyFrom }: Outcome): string[] {
  const holds = `every entry${resumedFrom > 0 ? ` from ${number(resumedFrom)} on` : ''} is in canonical form, follows from the one before, and says what a broker may do.`
  if (signedSize === 0)
    return [
      `CONSISTENT, NOT SIGNED: ${holds}`,
      'No signature was checked: a program that can write to it could have chained all of it again.',
    ]
  const signed = `Up to entry ${number(signedSize - 1)} it is signed, with ${KEY_FROM[keyFrom ?? 'itself']}.`
  if (signedSize >= size) return [`VERIFIED: ${holds}`, signed]
  return [
    `VERIFIED UP TO ENTRY ${number(signedSize - 1)}: ${holds}`,
    signed,
    `CONSISTENT, NOT SIGNED from entry ${number(signedSize)} on: no signature vouches for what is there.`,
  ]
}

function logVerifiedLines({ statePath, resumedFrom, notRemembered }: Outcome): string[] {
  return [
    resumedFrom === 0
      ? 'The tree of these entries is the one that was signed, and every tile is as it must be.'
      : `The tree is the one that was signed, and every tile from entry ${number(resumedFrom)} on is as it must be: --full reads those before again.`,
    ...(notRemembered === null ? [] : ['', `Nothing could be remembered: ${notRemembered}`]),
    ...(statePath === null || notRemembered !== null
      ? [
          '',
          'Nothing is remembered of this run: keep the checkpoint, and give it next time with --checkpoint.',
        ]
      : ['', `Remembered in ${statePath}: the next run shows that nothing before was changed.`]),
  ]
}

function nextTimeLines({ size, head }: Verdict): string[] {
  return [
    'A chain cannot show that its own tail was cut off, nor that all of it was written again. Keep size and head somewhere else, and next time give',
    `  --expect-size ${size} --expect-head ${head ?? GENESIS}`,
  ]
}

const SHOWN = 20

function findingLines({ verdict, evidence }: Outcome): string[] {
  const { findings, findingCount, findingsByKind } = verdict
  const kinds = Object.entries(findingsByKind).map(([kind, count]) => `${number(count)} ${kind}`)
  const more = findingCount - Math.min(SHOWN, findings.length)
  return [
    `NOT VERIFIED: ${number(findingCount)} finding${findingCount === 1 ? '' : 's'} (${kinds.join(', ')})`,
    ...findings.slice(0, SHOWN).flatMap(findingText),
    ...(more > 0 ? ['', `and ${number(more)} more: --json lists the first ${number(findings.length)}`] : []),
    ...(evidence.length > 0 ? ['', 'evidence', ...evidence.map((path) => `  ${path}`)] : []),
  ]
}

function findingText({ index, kind, detail, advice }: Finding): string[] {
  return ['', `entry ${index}: ${kind}`, `  ${detail}`, `  ${advice}`]
}

function rate({ verdict, resumedFrom }: Outcome, seconds: number): number {
  return Math.round((verdict.size - resumedFrom) / seconds)
}

function number(value: number): string {
  return value.toLocaleString('en')
}

/** What a ledger says may be meant for the reader's terminal: nothing but printable ASCII reaches it. */
export function printable(line: string): string {
  return line.replace(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
