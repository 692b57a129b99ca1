// What every measurement needs: a folder, the load, a word on how far it is, and an end that leaves nothing behind.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { BrokerProcess, type BrokerSettings } from '../broker-process.js'
import { Child, type ChildOptions } from './child.js'
import type { LoadOrder, LoadResult } from './load.js'

export class Bench {
  readonly connections = 64
  private readonly folder = mkdtempSync(join(tmpdir(), 'agentkeys-bench-'))
  private readonly children: { kill(): void }[] = []
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
    this.children.push(child)
    return child
  }

  async broker(settings: BrokerSettings): Promise<BrokerProcess> {
    const broker = await BrokerProcess.start(settings)
    this.children.push(broker)
    return broker
  }

  progress(text: string): void {
    process.stderr.write(`bench: ${text}\n`)
  }

  /** Synchronous, so that it also works while the process exits. */
  clear(): void {
    for (const child of this.children) child.kill()
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }
}
