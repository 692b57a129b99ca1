import type { Call } from '../command.js'
import { Context } from '../context.js'
import { parseService, StoredCredentials } from '../stored-credentials.js'

/** Prints a stored secret as it is; a line feed follows on a terminal only. */
export async function run(call: Call): Promise<number> {
  const service = parseService(call.args[0] ?? '')
  const context = Context.of(call)
  const credentials = await StoredCredentials.open(context, context.text('agent'))
  const credential = await credentials.read(service)
  const { agent } = credentials
  if (context.json) context.print({ agent, service, credential }, '')
  else process.stdout.write(process.stdout.isTTY ? `${credential}\n` : credential)
  return 0
}
