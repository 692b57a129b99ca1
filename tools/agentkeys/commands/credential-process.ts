import { processCredentials } from '../aws-forms.js'
import type { Call } from '../command.js'
import { Context } from '../context.js'
import { credentialsFor } from '../credentials.js'
import { askOf } from '../mint-options.js'

/** Prints credentials as AWS's `credential_process` wants them. Never asks a person for anything. */
export async function run(call: Call): Promise<number> {
  const held = await credentialsFor(Context.of(call), askOf(call.values))
  process.stdout.write(`${JSON.stringify(processCredentials(held))}\n`)
  return 0
}
