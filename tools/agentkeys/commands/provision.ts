import type { Call } from '../command.js'
import { Context } from '../context.js'
import { provision } from '../provision/provision.js'
import { ProvisionError } from '../provision/provision-error.js'
import { parseService } from '../stored-credentials.js'

export async function run(call: Call): Promise<number> {
  const context = Context.of(call)
  const service = parseService(call.args[0] ?? '')
  try {
    const { apiKeyMasked, created } = await provision(context, {
      service,
      force: call.values['force'] === true,
      onProgress: (step) => context.note(step),
    })
    context.print({ service, api_key_masked: apiKeyMasked, created, stored: true }, apiKeyMasked)
    return 0
  } catch (error) {
    if (!(error instanceof ProvisionError)) throw error
    const { code, message, lines } = error
    process.stderr.write(context.json ? `${JSON.stringify({ error: { code, message } })}\n` : `${lines}\n`)
    return 1
  }
}
