import type { Call } from '../command.js'
import { Context } from '../context.js'
import { StoredCredentials } from '../stored-credentials.js'

/** The services that a credential is stored for; no secret. */
export async function run(call: Call): Promise<number> {
  const context = Context.of(call)
  const credentials = await StoredCredentials.open(context, context.text('agent'))
  const services = await credentials.list()
  context.print(
    { agent: credentials.agent, services },
    services.length === 0 ? 'Nothing stored.' : services.join('\n'),
  )
  return 0
}
