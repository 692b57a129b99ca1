// `agentkeys-broker session-backend` in a process and a folder of its own.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { freePort } from './free-port.js'
import { spawnSubcommand } from './subcommand.js'
import { until } from './until.js'

export class SessionBackendProcess {
  private constructor(
    private readonly child: ChildProcess,
    private readonly ended: Promise<unknown>,
    private readonly settings: { BROKER_DATA_DIR: string; BROKER_SESSION_BIND: string },
  ) {}

  get url(): string {
    return `http://${this.settings.BROKER_SESSION_BIND}`
  }

  get dataDir(): string {
    return this.settings.BROKER_DATA_DIR
  }

  /** Resolves when it listens. Rejects with its log when it ends instead. */
  static async start(dataDir?: string, bind?: string): Promise<SessionBackendProcess> {
    const settings = {
      BROKER_DATA_DIR: dataDir ?? mkdtempSync(join(tmpdir(), 'agentkeys-sessions-')),
      BROKER_SESSION_BIND: bind ?? `127.0.0.1:${await freePort()}`,
    }
    const child = spawnSubcommand(['session-backend'], settings)
    let log = ''
    child.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()))
    await until(
      () => log.includes('session backend listening on') || child.exitCode !== null,
      () => `it does not listen: ${log}`,
    )
    if (child.exitCode !== null) throw new Error(`the session backend ended with ${child.exitCode}:\n${log}`)
    return new SessionBackendProcess(child, once(child, 'close'), settings)
  }

  /** On the same address and folder. */
  restart(): Promise<SessionBackendProcess> {
    return SessionBackendProcess.start(this.dataDir, this.settings.BROKER_SESSION_BIND)
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal)
    await this.ended
    return this.child.exitCode
  }

  async dispose(): Promise<void> {
    await this.stop('SIGKILL')
    rmSync(this.dataDir, { recursive: true, force: true })
  }
}
