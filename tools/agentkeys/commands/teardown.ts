import type { Call } from '../command.js'
import { Context } from '../context.js'
import { StoredCredentials } from '../stored-credentials.js'

/** Revokes an agent's sessions and deletes its stored credentials. */
export async function run(call: Call): Promise<number> {
  const context = Context.of(call)
  const { token: bearer } = await context.requireSession()
  const { agent, backend } = await StoredCredentials.open(context, call.args[0])
  await backend.ask({ method: 'DELETE', path: 'credential/teardown', bearer, body: { agent_id: agent } })
  context.print({ ok: true, agent }, `Torn down agent=${agent}`)
  return 0
}
