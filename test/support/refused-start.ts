import { type BrokerOptions, BrokerProcess } from './broker-process.js'

export interface RefusedStart {
  code: number | NodeJS.Signals
  /** The line that an operator reads last. */
  reason: string
}

/** Starts a broker that is expected to end by itself, and says how. Throws if it listens instead. */
export async function refusedStart(options: BrokerOptions): Promise<RefusedStart> {
  const broker = await BrokerProcess.spawn(options)
  const listening = broker.listening().then(
    async () => {
      await broker.stop('SIGKILL')
      throw new Error(`the broker was expected to refuse, and it listens:\n${broker.log}`)
    },
    () => undefined,
  )
  const code = await broker.exited()
  await listening
  return { code, reason: reasonIn(broker.log) }
}

function reasonIn(log: string): string {
  for (const line of log.trimEnd().split('\n').reverse()) {
    if (!line.startsWith('{')) return line
    const { level, msg } = JSON.parse(line) as { level: string; msg: string }
    if (level === 'error') return msg
  }
  return ''
}
