import { type Call, UsageError } from '../command.js'
import { Context } from '../context.js'
import { readSecret } from '../secret-input.js'
import { parseService, StoredCredentials } from '../stored-credentials.js'

/** Encrypts a secret and stores it. The secret comes from stdin or a file: every user of a machine sees arguments. */
export async function run(call: Call): Promise<number> {
  const [name = '', secret] = call.args
  if (secret !== undefined)
    throw new UsageError(
      'a secret does not belong on the command line: pipe it in, or name a file with --from',
    )
  const service = parseService(name)
  const context = Context.of(call)
  const value = await readSecret('--from', context.text('from') ?? '-')
  const credentials = await StoredCredentials.open(context, context.text('agent'))
  await credentials.store(service, value)
  const { agent } = credentials
  context.print({ agent, service, stored: true }, `Stored credential for agent=${agent} service=${service}`)
  return 0
}
