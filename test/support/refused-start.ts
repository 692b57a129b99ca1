import { type BrokerOptions, BrokerProcess } from './broker-process.js'

export interface RefusedStart {
  code: number | NodeJS.Signals
  /** The line that an operator reads last. */
  reason: string
}

/** For a start that neither refuses nor listens: its process must not outlive the test. */
const PATIENCE_MS = 200_000

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
  const patience = setTimeout(() => void broker.stop('SIGKILL'), PATIENCE_MS)
  const code = await broker.exited()
  clearTimeout(patience)
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
