import { type Call, UsageError } from '../command.js'
import { Context } from '../context.js'
import { parseService, StoredCredentials } from '../stored-credentials.js'

interface Scope {
  services: string[]
  read_only: boolean
}

/** Shows or changes which services an agent may use. */
export async function run(call: Call): Promise<number> {
  const change = parseChange(call.values)
  const context = Context.of(call)
  const { token: bearer } = await context.requireSession()
  const { agent, backend } = await StoredCredentials.open(context, call.args[0])
  const query = new URLSearchParams({ wallet: agent })
  const found = (await backend.ask({
    method: 'GET',
    path: `session/scope?${query.toString()}`,
    bearer,
  })) as unknown as Scope
  const services = [...new Set(change(found.services))].sort()
  if (services.join() !== [...found.services].sort().join())
    await backend.ask({
      method: 'PUT',
      path: 'session/scope',
      bearer,
      body: { target_wallet: agent, scope: { services, read_only: found.read_only } },
    })
  context.print({ agent, services, read_only: found.read_only }, services.join('\n'))
  return 0
}

type Change = (services: readonly string[]) => string[]

/** --set, --list, and --add with --remove are three ways; one of them. */
function parseChange(values: Call['values']): Change {
  const [add, remove] = [texts(values['add']), texts(values['remove'])]
  const set =
    typeof values['set'] === 'string' ? values['set'].split(',').filter((one) => one !== '') : undefined
  const ways = [set !== undefined, values['list'] === true, add.length + remove.length > 0].filter(
    Boolean,
  ).length
  if (ways > 1) throw new UsageError('scope: give --list, or --set, or --add and --remove')
  if (set) return () => set.map(parseService)
  return (services) => [...services, ...add.map(parseService)].filter((one) => !remove.includes(one))
}

function texts(value: Call['values'][string]): string[] {
  return Array.isArray(value) ? (value as string[]) : []
}
