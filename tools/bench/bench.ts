// What every measurement needs: a folder, the load, a word on how far it is, and an end that leaves nothing behind.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { BrokerProcess, type BrokerSettings } from '../broker-process.js'
import { Child, type ChildOptions } from './child.js'
import type { LoadOrder, LoadResult } from './load.js'

const READY_WITHIN_MS = 300_000

export class Bench {
  readonly connections = 64
  private readonly folder = mkdtempSync(join(tmpdir(), 'agentkeys-bench-'))
  private readonly ends: (() => Promise<unknown>)[] = []
  private started: Child<LoadOrder, LoadResult> | undefined

  get load(): Child<LoadOrder, LoadResult> {
    this.started ??= this.child('./load.js')
    return this.started
  }

  path(...names: string[]): string {
    return join(this.folder, ...names)
  }

  child<Order extends object, Answer>(module: string, options?: ChildOptions): Child<Order, Answer> {
    const child = Child.start<Order, Answer>(module, options)
    this.ends.push(() => child.kill())
    return child
  }

  /** Ready, at the latest after a rebuild of large read models. */
  async broker(settings: BrokerSettings): Promise<BrokerProcess> {
    const broker = BrokerProcess.spawn(settings)
    this.ends.push(() => broker.stop('SIGKILL'))
    await broker.ready(READY_WITHIN_MS)
    return broker
  }

  progress(text: string): void {
    process.stderr.write(`bench: ${text}\n`)
  }

  /** However it ends: a process that outlived the bench would write into the folder while it is removed. */
  async close(): Promise<void> {
    await Promise.all(this.ends.map((end) => end()))
    rmSync(this.folder, { recursive: true, force: true })
  }
}
