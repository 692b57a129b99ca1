// The processes of the bench: each does one thing, is given orders over Node's IPC channel, and ends with its parent.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

type Reply<Answer> = { answer: Answer } | { failure: string }

export interface ChildOptions {
  env?: Record<string, string>
  /** Where its stderr goes: a file's descriptor. Default: ours. */
  stderr?: number
  execArgv?: string[]
}

/** The parent's side: one order at a time. */
export class Child<Order extends object, Answer> {
  private constructor(private readonly child: ChildProcess) {}

  static start<Order extends object, Answer>(
    module: string,
    options: ChildOptions = {},
  ): Child<Order, Answer> {
    const { env = {}, stderr = 'inherit', execArgv = [] } = options
    const path = fileURLToPath(new URL(module, import.meta.url))
    const stdio = ['ignore', 'ignore', stderr, 'ipc'] as const
    const base = { PATH: process.env['PATH'] }
    return new Child(fork(path, [], { env: { ...base, ...env }, stdio: [...stdio], execArgv }))
  }

  get pid(): number {
    return this.child.pid as number
  }

  async ask(order: Order): Promise<Answer> {
    const replied = new Promise<Reply<Answer>>((resolve, reject) => {
      this.child.once('message', resolve)
      this.child.once('exit', (code) => reject(new Error(`a process of the bench ended with ${code}`)))
    })
    this.child.send(order)
    const reply = await replied
    this.child.removeAllListeners('exit').removeAllListeners('message')
    if ('failure' in reply) throw new Error(reply.failure)
    return reply.answer
  }

  /** Resolves when it has closed what it held and is gone. */
  async end(): Promise<void> {
    const exited = once(this.child, 'exit')
    this.child.disconnect()
    await exited
  }

  /** At once, whatever it is doing. Resolves when it is gone. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const exited = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await exited
  }
}

/** The child's side. Ends with the channel, after `close`. */
export function answerOrders<Order, Answer>(
  answer: (order: Order) => Promise<Answer>,
  close: () => Promise<void> = () => Promise.resolve(),
): void {
  process.on('message', (order: Order) => {
    answer(order).then(
      (value) => process.send?.({ answer: value }),
      (error: unknown) => process.send?.({ failure: (error as Error).stack ?? String(error) }),
    )
  })
  process.once('disconnect', () => void close().finally(() => process.exit()))
  // Ctrl-C reaches the whole group: the parent decides when we end.
  process.on('SIGINT', () => undefined)
}
