// Asks the running broker, which holds the ledger, with the operator's token.

import type { Config } from '../config.js'
import { formatAddress } from '../config/address.js'
import { readPrivateFile } from '../storage/private-file.js'
import type { Outcome } from './outcome.js'

/** Longer than a broker waits for its ledger. */
const WITHIN_MS = 15_000

/** `name`: of the subcommand, for its messages. `body` undefined: a GET. */
export async function askBroker<Answer>(
  config: Config,
  { name, path, body }: { name: string; path: string; body?: object },
  say: (answer: Answer) => string,
): Promise<Outcome> {
  try {
    const token = readPrivateFile(config.operatorTokenFile)?.trim()
    if (!token) throw new Error(`there is no operator token at ${config.operatorTokenFile}`)
    const response = await fetch(brokerUrl(config) + path, {
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      signal: AbortSignal.timeout(WITHIN_MS),
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    })
    const answer = (await response.json()) as Answer & { message: string }
    if (!response.ok) return { code: 1, message: `${name}: ${answer.message}` }
    return { code: 0, message: say(answer) }
  } catch (error) {
    const { message, cause } = error as Error
    const why = cause instanceof Error ? `${message} (${cause.message})` : message
    return { code: 3, message: `${name}: ${why}: is the broker running at ${brokerUrl(config)}?` }
  }
}

/** What listens on every address of a machine is reached on its loopback. */
function brokerUrl({ bind, port }: Config): string {
  const host = { '0.0.0.0': '127.0.0.1', '::': '::1' }[bind] ?? bind
  return `http://${formatAddress({ host, port })}`
}
