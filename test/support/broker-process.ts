// A broker as an operator runs it: the built program in a process of its own, on a folder and ports of its own.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { BROKER_FLAGS } from '../../tools/broker-process.js'
import { BROKER_API, SESSION_API } from './described.js'
import { freePort } from './free-port.js'
import { until } from './until.js'

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))

export interface BrokerOptions {
  env?: Record<string, string>
  flags?: string[]
  dataDir?: string
  port?: number
  sessionPort?: number
  /** A command that becomes the broker: what limits or rights to take from it. */
  under?: string[]
}

export interface Reply<Body> {
  status: number
  body: Body
  headers: Headers
}

export class BrokerProcess {
  /** Everything it wrote to stderr (its log) and to stdout. */
  log = ''
  out = ''
  private readonly closed: Promise<unknown>

  private constructor(
    private readonly child: ChildProcess,
    readonly url: string,
    readonly sessionUrl: string,
    readonly dataDir: string,
    readonly options: BrokerOptions & { port: number; sessionPort: number; dataDir: string },
  ) {
    this.closed = once(child, 'close')
    child.stderr?.on('data', (chunk: Buffer) => (this.log += chunk.toString()))
    child.stdout?.on('data', (chunk: Buffer) => (this.out += chunk.toString()))
  }

  /** Spawns it and does not wait: for starts that are refused. */
  static async spawn(options: BrokerOptions = {}): Promise<BrokerProcess> {
    const port = options.port ?? (await freePort())
    const sessionPort = options.sessionPort ?? (await freePort())
    const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'agentkeys-'))
    const env = {
      PATH: process.env['PATH'],
      HOME: dataDir,
      BROKER_DATA_DIR: dataDir,
      BROKER_SESSION_BIND: `127.0.0.1:${sessionPort}`,
      ...options.env,
    }
    const line = [...(options.under ?? []), process.execPath, ...BROKER_FLAGS, MAIN, '--port', String(port)]
    const child = spawn(line[0] as string, [...line.slice(1), ...(options.flags ?? [])], { env })
    const [url, sessionUrl] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${sessionPort}`]
    return new BrokerProcess(child, url, sessionUrl, dataDir, { ...options, port, sessionPort, dataDir })
  }

  /** Resolves when it listens. Rejects with its log when it ends instead. */
  static async start(options: BrokerOptions = {}): Promise<BrokerProcess> {
    const broker = await BrokerProcess.spawn(options)
    await broker.listening()
    return broker
  }

  /** Resolves when it listens. Rejects with its log when it ends instead. */
  async listening(): Promise<void> {
    while (!this.log.includes('broker listening on')) {
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        const code = await this.exited()
        throw new Error(`the broker ended with ${code}:\n${this.log}`)
      }
      await pause(20)
    }
  }

  /** Resolves once it says that it is ready. Rejects with what it says when it never is. */
  async becomesReady(): Promise<void> {
    let said: unknown
    await until(
      async () => {
        const { status, body } = await this.get('/readyz')
        said = body
        return status === 200
      },
      () => `it is not ready: ${JSON.stringify(said)}`,
    )
  }

  /** The same broker again: same folder, ports and environment. */
  restart(changes: BrokerOptions = {}): Promise<BrokerProcess> {
    const env = { ...this.options.env, ...changes.env }
    return BrokerProcess.start({ ...this.options, ...changes, env })
  }

  /** Resolves when it has ended and all it wrote has been read. */
  async exited(): Promise<number | NodeJS.Signals> {
    await this.closed
    return this.child.exitCode ?? (this.child.signalCode as NodeJS.Signals)
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | NodeJS.Signals> {
    this.child.kill(signal)
    return this.exited()
  }

  /** Stops it and removes its folder. */
  async dispose(): Promise<void> {
    await this.stop('SIGKILL')
    rmSync(this.dataDir, { recursive: true, force: true })
  }

  get pid(): number {
    return this.child.pid as number
  }

  async post<Body>(path: string, bearer: string | undefined, body?: unknown): Promise<Reply<Body>> {
    return this.ask(path, {
      method: 'POST',
      headers: {
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
  }

  get<Body>(path: string, bearer?: string): Promise<Reply<Body>> {
    return this.ask(path, { headers: bearer === undefined ? {} : { authorization: `Bearer ${bearer}` } })
  }

  /** Every reply has to be what docs/openapi.json describes. */
  private async ask<Body>(path: string, init: RequestInit): Promise<Reply<Body>> {
    const response = await fetch(this.url + path, init)
    const text = await response.text()
    const { status, headers } = response
    BROKER_API.check({ method: init.method ?? 'GET', path, status, headers, text })
    return { status, body: (text === '' ? undefined : JSON.parse(text)) as Body, headers }
  }

  /** A new session at the embedded backend. */
  async session(authToken = 'somebody'): Promise<{ session: string; wallet: string }> {
    const path = '/session/create'
    const response = await fetch(this.sessionUrl + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ auth_token: authToken }),
    })
    const text = await response.text()
    const { status, headers } = response
    SESSION_API.check({ method: 'POST', path, status, headers, text })
    return JSON.parse(text) as { session: string; wallet: string }
  }
}
