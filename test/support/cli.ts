// agentkeys as a user runs it: the built program, in a process and a home of its own.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The built program. */
export const AGENTKEYS = fileURLToPath(new URL('../../tools/agentkeys/main.js', import.meta.url))
const DAEMON = fileURLToPath(new URL('../../tools/agentkeys-daemon/main.js', import.meta.url))

export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface Started {
  child: ChildProcess
  ended: Promise<Ended>
}

export interface CliOptions {
  env?: Record<string, string>
  input?: string
  /** Leaves stdin open, for a conversation. */
  keepOpen?: true
}

export class Cli {
  readonly home = mkdtempSync(join(tmpdir(), 'agentkeys-home-'))

  constructor(private readonly env: Record<string, string>) {}

  run(args: readonly string[], options: CliOptions = {}): Promise<Ended> {
    return this.start(args, options).ended
  }

  start(args: readonly string[], options: CliOptions = {}): Started {
    return this.spawn(AGENTKEYS, args, options)
  }

  daemon(args: readonly string[], options: CliOptions = {}): Started {
    return this.spawn(DAEMON, args, options)
  }

  private spawn(main: string, args: readonly string[], { env = {}, input, keepOpen }: CliOptions): Started {
    const child = spawn(process.execPath, [main, ...args], {
      env: { PATH: process.env['PATH'], HOME: this.home, ...this.env, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    if (!keepOpen) child.stdin.end(input ?? '')
    return { child, ended: ended(child) }
  }

  dispose(): void {
    rmSync(this.home, { recursive: true, force: true })
  }
}

async function ended(child: ChildProcess): Promise<Ended> {
  let [stdout, stderr] = ['', '']
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return { code, signal, stdout, stderr }
}
