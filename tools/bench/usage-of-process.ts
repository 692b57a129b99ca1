// What a process used: from /proc, where there is one, and from the process itself as it ends.

import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { HEAP } from '../broker-process.js'

/** Linux counts processor time in hundredths of a second, whatever the kernel's own tick is. */
const TICK_MS = 10

/** User and system time of all its threads so far, ms. Undefined where there is no /proc. */
export function cpuMs(pid: number): number | undefined {
  // After the name, which is in parentheses and may hold anything: the 14th and 15th fields, proc(5).
  const fields = read(`/proc/${pid}/stat`)
    ?.replace(/^[^]*\) /, '')
    .split(' ')
  return fields && (Number(fields[11]) + Number(fields[12])) * TICK_MS
}

/**
 * Time its main thread spent on a processor so far, ms: waiting for one is not in it, so other work on the machine changes
 * it little. Undefined where there is no /proc.
 */
export function mainThreadCpuMs(pid: number): number | undefined {
  const nanoseconds = read(`/proc/${pid}/task/${pid}/schedstat`)?.split(' ')[0]
  return nanoseconds === undefined ? undefined : Number(nanoseconds) / 1e6
}

/** The most memory it ever had resident, MiB. */
export function peakMb(pid: number): number | undefined {
  const [, kib] = /^VmHWM:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`) ?? '') ?? []
  return kib === undefined ? undefined : Number(kib) / 1024
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // No /proc here, or the process has ended.
    return undefined
  }
}

const TELLS_PEAK = fileURLToPath(new URL('./tell-peak.js', import.meta.url))

export interface Measured {
  stdout: string
  /** The most memory it had resident, MiB. */
  peakMb: number
  /** From its first moment to its last. */
  seconds: number
}

/** Runs a program of Node's to its end. Rejects when it ends with another code than 0. */
export function runMeasured(program: string, args: readonly string[], env = process.env): Promise<Measured> {
  return new Promise((resolve, reject) => {
    const command = [HEAP, '--import', TELLS_PEAK, program, ...args]
    const started = performance.now()
    execFile(process.execPath, command, { maxBuffer: 64 * 1024 * 1024, env }, (error, stdout, stderr) => {
      const seconds = (performance.now() - started) / 1000
      const [, kib] = /^peak-rss-kib (\d+)$/m.exec(stderr) ?? []
      if (error) reject(new Error(`${program} failed: ${stderr}`, { cause: error }))
      else resolve({ stdout, peakMb: Number(kib) / 1024, seconds })
    })
  })
}
