// verify-ledger as an auditor runs it, who remembers nothing.

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../tools/verify-ledger/main.js', import.meta.url))

export interface Verified {
  code: number | null
  report: {
    ok: boolean
    size: number
    findingsByKind: Record<string, number>
    log?: { size: number; cosignatures: { witness: string }[] }
  }
}

/** Rejects with what it wrote to stderr when it has no report to give. */
export function verifyLedger(source: string, ...options: string[]): Promise<Verified> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, source, '--no-state', '--json', ...options])
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    child.on('close', (code) => {
      if (stdout === '') reject(new Error(`verify-ledger ended with ${code}: ${stderr}`))
      else resolve({ code, report: JSON.parse(stdout) as Verified['report'] })
    })
  })
}
