// The broker as an operator runs it, for the demo and the bench: the built program, in a folder and on ports of its own.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, fstatSync, mkdirSync, openSync, readSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../src/main.js', import.meta.url))
const READY_WITHIN_MS = 60_000
const POLL_MS = 10
const TAIL_LINES = 25
const TAIL_BYTES = 16 * 1024

/** Its own, and its session backend's. */
export type Ports = readonly [number, number]

export interface BrokerSettings {
  dataDir: string
  /** From freePorts(). */
  ports: Ports
  /** BROKER_… variables, and what else it needs. Of our own environment it inherits PATH alone. */
  env?: Record<string, string>
  flags?: readonly string[]
}

export interface Session {
  session: string
  wallet: string
}

/** As the installed programs run. */
export const HEAP = '--max-old-space-size=192'
/**
 * As `npm start`, the installed broker, the unit and the image run. V8 would keep four helpers, on whatever machine: for a
 * heap so small one is enough, and more of them take the cores from signing (docs/performance.md).
 */
export const BROKER_FLAGS = [HEAP, '--v8-pool-size=1']

/** Of the program, whichever of its commands is run. */
export function brokerEnvironment({
  dataDir,
  env,
  ports: [port, sessionPort],
}: BrokerSettings): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    // The user's ~/.aws must not change what is shown or measured here.
    HOME: dataDir,
    BROKER_DATA_DIR: dataDir,
    BROKER_SESSION_BIND: `127.0.0.1:${sessionPort}`,
    BROKER_OIDC_ISSUER: `http://127.0.0.1:${port}`,
    ...env,
  }
}

export class BrokerProcess {
  private constructor(
    private readonly child: ChildProcess,
    private readonly logPath: string,
    readonly url: string,
    readonly sessionUrl: string,
  ) {}

  /** Does not wait, so that the caller can end it from its first moment on. */
  static spawn(settings: BrokerSettings): BrokerProcess {
    const { dataDir, ports, flags = [] } = settings
    const [port, sessionPort] = ports
    const logPath = join(dataDir, 'broker.log')
    // A file, not a pipe: a slow reader must not slow it down.
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    const log = openSync(logPath, 'a', 0o600)
    const child = spawn(process.execPath, [...BROKER_FLAGS, MAIN, '--port', String(port), ...flags], {
      stdio: ['ignore', 'ignore', log],
      env: brokerEnvironment(settings),
    })
    closeSync(log)
    return new BrokerProcess(child, logPath, `http://127.0.0.1:${port}`, `http://127.0.0.1:${sessionPort}`)
  }

  get pid(): number {
    return this.child.pid as number
  }

  /** The end of its log. The broker logs no secrets. */
  get logTail(): string {
    const file = openSync(this.logPath, 'r')
    const { size } = fstatSync(file)
    const tail = Buffer.alloc(Math.min(size, TAIL_BYTES))
    readSync(file, tail, 0, tail.length, size - tail.length)
    closeSync(file)
    return tail.toString('utf8').trimEnd().split('\n').slice(-TAIL_LINES).join('\n')
  }

  /** A session at the embedded backend. */
  async session(authToken: string): Promise<Session> {
    const response = await fetch(`${this.sessionUrl}/session/create`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ auth_token: authToken }),
    })
    if (!response.ok) throw new Error(`/session/create answered ${response.status}`)
    return (await response.json()) as Session
  }

  /** Asks it to end, as systemd would, and resolves with its exit code. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | NodeJS.Signals | null> {
    if (!this.ended) {
      const exited = once(this.child, 'exit')
      this.child.kill(signal)
      await exited
    }
    return this.child.exitCode ?? this.child.signalCode
  }

  /** At once, whatever it is doing. */
  kill(): void {
    this.child.kill('SIGKILL')
  }

  private get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }

  /** Resolves with the first 200 on /readyz. Rejects with the end of its log when it ends instead, or takes too long. */
  async ready(withinMs = READY_WITHIN_MS): Promise<void> {
    const deadline = performance.now() + withinMs
    while (performance.now() < deadline) {
      if (this.ended)
        throw new Error(`the broker ended while starting (${this.child.exitCode}):\n${this.logTail}`)
      if ((await statusOf(`${this.url}/readyz`)) === 200) return
      await after(POLL_MS)
    }
    this.kill()
    throw new Error(`the broker was not ready within ${withinMs / 1000} s:\n${this.logTail}`)
  }
}

async function statusOf(url: string): Promise<number | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(5_000) })
    await response.arrayBuffer()
    return response.status
  } catch {
    // Not listening yet.
    return undefined
  }
}

/** Two ports that are free now, held together so that they differ. */
export async function freePorts(): Promise<Ports> {
  const held = [createServer(), createServer()] as const
  const ports = await Promise.all(
    held.map(async (server) => {
      await once(server.listen(0, '127.0.0.1'), 'listening')
      return (server.address() as AddressInfo).port
    }),
  )
  await Promise.all(held.map((server) => once(server.close(), 'close')))
  return ports as [number, number]
}
