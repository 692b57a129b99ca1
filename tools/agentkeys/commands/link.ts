import { type Call, UsageError } from '../command.js'
import { Context } from '../context.js'
import { StoredCredentials } from '../stored-credentials.js'

/** Gives an agent's wallet a name. */
export async function run(call: Call): Promise<number> {
  const context = Context.of(call)
  const [alias, email] = [context.text('alias'), context.text('email')]
  const value = alias ?? email
  if (value === undefined) throw new UsageError('link: give --alias NAME or --email ADDRESS')
  const type = alias === undefined ? 'email' : 'alias'
  const { token: bearer } = await context.requireSession()
  const { agent, backend } = await StoredCredentials.open(context, call.args[0])
  const body = { identity_type: type, identity_value: value, wallet_address: agent }
  await backend.ask({ method: 'POST', path: 'identity/link', bearer, body })
  context.print({ agent, [type]: value }, `Linked agent=${agent} ${type}=${value}`)
  return 0
}
