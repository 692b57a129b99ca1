import { GENESIS } from '../../src/domain/ledger/entry.js'
import type { Finding } from '../../src/domain/ledger/findings.js'
import type { Expected, Verdict } from '../../src/domain/ledger/verify.js'

export interface Report {
  source: string
  verdict: Verdict
  seconds: number
  expected: Expected | undefined
}

export function jsonReport({ verdict, seconds }: Report): string {
  const { ok, size, head, firstFinding, findingCount, findingsByKind, findings, counts } = verdict
  const speed = { seconds: Number(seconds.toFixed(3)), entriesPerSecond: Math.round(size / seconds) }
  const report = { ok, size, head, firstFinding, findingCount, findingsByKind, findings, counts, ...speed }
  return `${JSON.stringify(report)}\n`
}

export function textReport(report: Report): string {
  const { source, verdict, seconds } = report
  const rate = Math.round(verdict.size / seconds)
  const lines = [
    `ledger   ${source}`,
    `size     ${number(verdict.size)} entries`,
    `head     ${verdict.head ?? 'the last entry is unreadable'}`,
    ...mintLines(verdict.counts),
    `time     ${seconds.toFixed(1)} s, ${number(rate)} entries/s`,
    '',
    ...(verdict.ok ? verifiedLines(report) : findingLines(verdict)),
  ]
  return `${lines.map(printable).join('\n')}\n`
}

function mintLines({ byType, unanswered }: Verdict['counts']): string[] {
  const count = (type: keyof typeof byType): string => number(byType[type] ?? 0)
  return [
    `mints    ${count('SessionValidated')} begun, ${count('MintRefused')} refused, ${count('JwtIssued')} JWTs`,
    `AWS      ${count('CredsMinted')} credentials, ${count('CredsMintFailed')} failed, ${number(unanswered)} without a recorded outcome`,
  ]
}

function verifiedLines({ verdict: { size, head }, expected }: Report): string[] {
  const remembered =
    expected?.head !== undefined && `The first ${number(expected.size)} entries are those you remember.`
  return [
    'VERIFIED: every entry is in canonical form, follows from the one before, and says what a broker may do.',
    ...(remembered ? [remembered] : []),
    '',
    'A chain cannot show that its own tail was cut off. Keep size and head somewhere else, and next time give',
    `  --expect-size ${size} --expect-head ${head ?? GENESIS}`,
  ]
}

const SHOWN = 20

function findingLines({ findings, findingCount, findingsByKind }: Verdict): string[] {
  const kinds = Object.entries(findingsByKind).map(([kind, count]) => `${number(count)} ${kind}`)
  const more = findingCount - Math.min(SHOWN, findings.length)
  return [
    `NOT VERIFIED: ${number(findingCount)} finding${findingCount === 1 ? '' : 's'} (${kinds.join(', ')})`,
    ...findings.slice(0, SHOWN).flatMap(findingText),
    ...(more > 0 ? ['', `and ${number(more)} more: --json lists the first ${number(findings.length)}`] : []),
  ]
}

function findingText({ index, kind, detail, advice }: Finding): string[] {
  return ['', `entry ${index}: ${kind}`, `  ${detail}`, `  ${advice}`]
}

function number(value: number): string {
  return value.toLocaleString('en')
}

/** What a ledger says may be meant for the reader's terminal: nothing but printable ASCII reaches it. */
function printable(line: string): string {
  return line.replace(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
