// What an auditor does: runs verify-ledger, a program that shares nothing with the broker but the format.

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import Sqlite from 'better-sqlite3'

const VERIFIER = fileURLToPath(new URL('../verify-ledger/main.js', import.meta.url))
const ENDS_WITHIN_MS = 30_000

export interface Entry {
  index: number
  time: string
  type: string
  data: Record<string, unknown>
}

export interface Verdict {
  exitCode: number
  ok: boolean
  size: number
  head: string
  findings: { index: number; kind: string; detail: string; advice: string }[]
}

/** What was remembered of the ledger at an earlier visit. */
export interface Remembered {
  size: number
  head: string
}

export async function exportEntries(ledgerPath: string): Promise<Entry[]> {
  const { exitCode, stdout, stderr } = await run(['export', `sqlite:${ledgerPath}`])
  if (exitCode !== 0) throw new Error(`verify-ledger export ended with ${exitCode}: ${stderr}`)
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Entry)
}

export async function verify(ledgerPath: string, remembered?: Remembered): Promise<Verdict> {
  const expected = remembered
    ? ['--expect-size', String(remembered.size), '--expect-head', remembered.head]
    : []
  const { exitCode, stdout, stderr } = await run([`sqlite:${ledgerPath}`, '--json', ...expected])
  if (exitCode > 1) throw new Error(`verify-ledger ended with ${exitCode}: ${stderr}`)
  return { ...(JSON.parse(stdout) as Omit<Verdict, 'exitCode'>), exitCode }
}

/** Checks a receipt offline: that its entry is in the log, and that the policy's witnesses have seen the log so. */
export async function verifyReceipt(paths: {
  receipt: string
  jwt: string
  policy: string
}): Promise<string[]> {
  const files = ['--receipt', paths.receipt, '--jwt', paths.jwt, '--policy', paths.policy]
  const { exitCode, stdout, stderr } = await run(['receipt', '--json', ...files])
  if (exitCode !== 0) throw new Error(`verify-ledger receipt ended with ${exitCode}: ${stderr}${stdout}`)
  const { cosignatures } = JSON.parse(stdout) as { cosignatures: { witness: string }[] }
  return cosignatures.map(({ witness }) => witness)
}

function run(args: string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [VERIFIER, ...args], { timeout: ENDS_WITHIN_MS }, (error, stdout, stderr) => {
      const exitCode = error ? error.code : 0
      if (typeof exitCode === 'number') resolve({ exitCode, stdout, stderr })
      else reject(new Error('verify-ledger could not be run to its end', { cause: error }))
    })
  })
}

/** A copy of the ledger's file, consistent while the broker writes on. */
export function copyLedger(ledgerPath: string, copyPath: string): void {
  withFile(ledgerPath, (db) => db.prepare('VACUUM INTO ?').run(copyPath))
}

/** An attacker with root on the disk drops the triggers and rewrites one entry. */
export function rewriteEntry(path: string, index: number, change: (text: string) => string): void {
  withFile(path, (db) => {
    db.exec('DROP TRIGGER ledger_no_update')
    const text = db.prepare<[number], string>('SELECT entry FROM ledger WHERE idx = ?').pluck().get(index)
    if (text === undefined) throw new Error(`the ledger has no entry ${index}`)
    db.prepare('UPDATE ledger SET entry = ? WHERE idx = ?').run(change(text), index)
  })
}

/** An attacker truncates the ledger, which no chain can show by itself. */
export function cutOff(path: string, from: number): void {
  withFile(path, (db) => {
    db.exec('DROP TRIGGER ledger_no_delete')
    db.prepare('DELETE FROM ledger WHERE idx >= ?').run(from)
  })
}

function withFile(path: string, act: (db: Sqlite.Database) => unknown): void {
  const db = new Sqlite(path, { fileMustExist: true })
  try {
    act(db)
  } finally {
    db.close()
  }
}
