import { type Call, UsageError } from '../command.js'
import { Context } from '../context.js'
import { StoredCredentials } from '../stored-credentials.js'

/** inbox provision|list|read: an agent's mail addresses at the session backend. */
export async function run(call: Call): Promise<number> {
  const [what, address] = call.args
  const context = Context.of(call)
  const { token: bearer } = await context.requireSession()
  const { agent, backend } = await StoredCredentials.open(context, context.text('agent'))
  switch (what) {
    case 'provision': {
      const reply = await backend.ask({
        method: 'POST',
        path: 'mock/inbox/provision',
        bearer,
        body: { agent_id: agent },
      })
      context.print(reply, String(reply['address']))
      return 0
    }
    case 'list': {
      const query = new URLSearchParams({ agent_id: agent })
      const addresses = await backend.askList({
        method: 'GET',
        path: `mock/inbox/list?${query.toString()}`,
        bearer,
      })
      context.print({ addresses }, addresses.join('\n'))
      return 0
    }
    case 'read': {
      if (address === undefined) throw new UsageError('inbox read: the address is missing')
      const query = new URLSearchParams({ address })
      const messages = await backend.askList({
        method: 'GET',
        path: `mock/inbox/messages?${query.toString()}`,
        bearer,
      })
      context.print({ messages }, messages.map((one) => JSON.stringify(one)).join('\n'))
      return 0
    }
    default:
      throw new UsageError('inbox: one of provision, list, read')
  }
}
