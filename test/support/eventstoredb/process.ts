import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import type { AppendFault, ReadFault } from './faults.js'

/** The stand-in as a process, which can be frozen, killed and started again where it was. */
export class StandInProcess {
  private constructor(
    private readonly child: ChildProcess,
    readonly port: number,
  ) {}

  static async start(...args: string[]): Promise<StandInProcess> {
    const main = fileURLToPath(new URL('./main.js', import.meta.url))
    const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
    if (!child.stdout) throw new Error('the stand-in has no stdout')
    const lines = createInterface(child.stdout)
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`the stand-in ended with ${code}`)
    })
    const [line] = (await Promise.race([once(lines, 'line'), ended])) as [string]
    return new StandInProcess(child, Number(/^listening on (\d+)$/.exec(line)?.[1]))
  }

  get url(): string {
    return `esdb://127.0.0.1:${this.port}?tls=false`
  }

  plan(faults: { appends?: AppendFault[]; reads?: ReadFault[] }): void {
    this.child.send(faults)
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.child.kill(signal)
  }

  async end(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const exited = once(this.child, 'exit')
    this.child.kill(signal)
    await exited
  }
}
