import { Backend } from '../backend.js'
import { type Call, UsageError } from '../command.js'
import { Context } from '../context.js'
import { removeSession } from '../sessions.js'
import { ownWallet } from '../stored-credentials.js'

/** Ends the own session, or all sessions of a wallet of one's own. The local copy of an ended session goes too. */
export async function run(call: Call): Promise<number> {
  const context = Context.of(call)
  const [target] = call.args
  const wallet = target === undefined ? undefined : parseWallet(target)
  const { token } = await context.requireSession()
  const backend = await Backend.of(context)
  const own = wallet === undefined || wallet === (await ownWallet(backend, token))
  const body = wallet === undefined ? { target_session: token } : { target_wallet: wallet }
  const { sessions_revoked: count } = await backend.ask({
    method: 'POST',
    path: 'session/revoke',
    bearer: token,
    body,
  })
  // Only after the backend has said so: a copy that is removed too early would leave a live session behind.
  if (own) await removeSession(context.home, context.sessionId)
  context.print(
    { ok: true, sessions_revoked: count ?? 1 },
    wallet === undefined ? 'Session revoked.' : `Revoked ${wallet}.`,
  )
  return 0
}

function parseWallet(text: string): string {
  if (/^0x[0-9a-fA-F]{40}$/.test(text)) return text.toLowerCase()
  throw new UsageError('revoke: a wallet is 0x and 40 hex digits')
}
