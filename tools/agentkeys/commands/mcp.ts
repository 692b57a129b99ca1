import { type Call, UsageError } from '../command.js'
import { Context } from '../context.js'

/** An MCP server over stdio. Resolves when the client closes stdin. */
export async function run({ values }: Call): Promise<number> {
  const names = values['tool-names'] ?? 'underscore'
  if (names !== 'underscore' && names !== 'dotted') throw new UsageError('--tool-names: underscore or dotted')
  const { serveMcp } = await import('../mcp/server.js')
  await serveMcp(new Context(values), { names, allowSecrets: values['allow-secrets'] === true })
  return 0
}
