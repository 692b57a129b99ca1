// run -- CMD: runs a command with stored secrets in its environment, so that they need not be read and pasted.

import { spawnChild } from '../child.js'
import { type Call, UsageError } from '../command.js'
import { Context } from '../context.js'
import { parseService, StoredCredentials } from '../stored-credentials.js'

interface Injection {
  variable: string
  service: string
}

export async function run(call: Call): Promise<number> {
  const context = Context.of(call)
  // All are understood before anything is read.
  const asked = injectionsOf(call.values['env'])
  const credentials = await StoredCredentials.open(context, context.text('agent'))
  const wanted = asked.length > 0 ? asked : (await credentials.list()).map(byDefault)
  const values = await Promise.all(
    wanted.map(async ({ variable, service }) => [variable, await credentials.read(service)] as const),
  )
  const env = { ...process.env, ...Object.fromEntries(values) }
  delete env['AGENTKEYS_SESSION']
  return spawnChild(call.rest, env)
}

/** OPENROUTER_API_KEY for openrouter. */
function byDefault(service: string): Injection {
  return { service, variable: `${service.toUpperCase().replace(/[^A-Z0-9]/g, '_')}_API_KEY` }
}

function injectionsOf(given: Call['values'][string]): Injection[] {
  if (!Array.isArray(given)) return []
  return given.map((text: string) => {
    const [, variable, service] = /^([A-Za-z_][A-Za-z0-9_]*)=(.+)$/.exec(text) ?? []
    if (variable === undefined || service === undefined)
      throw new UsageError(`--env ${JSON.stringify(text)}: write NAME=SERVICE`)
    return { variable, service: parseService(service) }
  })
}
