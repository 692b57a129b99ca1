import type { Call } from '../command.js'
import { Context } from '../context.js'
import { readPin } from '../pin.js'

/** Who this machine is to the broker, and where the session is kept. Asks no server. */
export async function run(call: Call): Promise<number> {
  const context = Context.of(call)
  const { wallet, place, createdAt } = await context.requireSession()
  const pin = readPin(context.home)
  const answer = {
    wallet: wallet === '' ? null : wallet,
    broker_url: context.home.url.href,
    session_id: context.sessionId,
    session_store: place,
    session_created_at: createdAt === 0 ? null : new Date(createdAt * 1000).toISOString(),
    ledger_vkey: pin?.vkey ?? null,
  }
  const lines = [
    `wallet   ${wallet === '' ? 'not known: the session was not made here' : wallet}`,
    `broker   ${answer.broker_url}`,
    `session  ${answer.session_id}, kept in ${place}`,
    `ledger   ${pin?.vkey ?? 'no key pinned: receipts are not verified'}`,
  ]
  context.print(answer, lines.join('\n'))
  return 0
}
