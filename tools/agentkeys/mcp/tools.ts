// The tools that an agent sees. No secret is in a result, unless the operator of this machine allowed it by a flag.

import * as z from 'zod'

import type { Context } from '../context.js'
import { readPin } from '../pin.js'
import { provision } from '../provision/provision.js'
import { readReceipt } from '../receipt-folder.js'
import { CliError } from '../report-error.js'
import { ownWallet, parseService, StoredCredentials } from '../stored-credentials.js'

import { prepareAwsProfile } from './aws-profile.js'

export interface Tool {
  /** After `agentkeys_`, or `agentkeys.` in the original's form. */
  name: string
  description: string
  input: z.ZodObject
  output: z.ZodObject
  readOnly: boolean
  run: (context: Context, args: Record<string, unknown>) => Promise<Record<string, unknown>>
}

const SERVICE = z.object({ service: z.string().describe('the service, e.g. openrouter') })

export const TOOLS: readonly Tool[] = [
  {
    name: 'aws_session',
    description:
      'Prepares AWS access for this agent: refreshes an AWS profile that any AWS CLI or SDK can use. Returns the profile, never a key.',
    input: z.object({
      role: z.string().optional().describe('an AWS role ARN; default: the data role of the broker'),
    }),
    output: z.object({
      profile: z.string(),
      config_file: z.string(),
      expires_at: z.string(),
      wallet: z.string(),
      role_arn: z.string(),
      ledger_index: z.number(),
      mint_id: z.string(),
      how_to_use: z.string(),
    }),
    readOnly: false,
    run: (context, { role }) => prepareAwsProfile(context, typeof role === 'string' ? role : undefined),
  },
  {
    name: 'provision',
    description: 'Signs up at a service and stores the key it gives, encrypted. Returns a masked key.',
    input: SERVICE.extend({
      force: z.boolean().optional().describe('make a new key even where one is stored'),
    }),
    output: z.object({ api_key_masked: z.string(), key_verified: z.boolean(), stored: z.boolean() }),
    readOnly: false,
    run: async (context, { service, force }) => {
      const options = {
        service: parseService(String(service)),
        force: force === true,
        onProgress: () => undefined,
      }
      const { apiKeyMasked, stored } = await provision(context, options)
      return { api_key_masked: apiKeyMasked, key_verified: true, stored }
    },
  },
  {
    name: 'list_credentials',
    description:
      'Lists the services that a credential is stored for. Use them with: agentkeys run -- COMMAND',
    input: z.object({}),
    output: z.object({ services: z.array(z.string()) }),
    readOnly: true,
    run: async (context) => ({ services: await (await StoredCredentials.open(context, undefined)).list() }),
  },
  {
    name: 'whoami',
    description: 'Says which wallet and broker this agent works with.',
    input: z.object({}),
    output: z.object({ wallet: z.string(), broker_url: z.string(), ledger_vkey: z.string().nullable() }),
    readOnly: true,
    run: async (context) => {
      const { token, wallet } = await context.requireSession()
      const { Backend } = await import('../backend.js')
      const known = wallet === '' ? await ownWallet(await Backend.of(context), token) : wallet
      return {
        wallet: known,
        broker_url: context.home.url.href,
        ledger_vkey: readPin(context.home)?.vkey ?? null,
      }
    },
  },
  {
    name: 'receipt',
    description: 'Returns the receipt of a mint: the proof that the ledger holds it.',
    input: z.object({ mint_id: z.string().describe('from agentkeys_aws_session') }),
    output: z.object({ mint_id: z.string(), receipt: z.string() }),
    readOnly: true,
    run: (context, { mint_id: mintId }) => {
      const receipt = readReceipt(context.home, String(mintId))
      if (receipt === undefined)
        throw new CliError(
          `there is no receipt ${String(mintId)}`,
          'use the mint_id of agentkeys_aws_session',
          1,
        )
      return Promise.resolve({ mint_id: String(mintId), receipt })
    },
  },
]

/** Not even listed unless it was allowed: what a model can read, it can be talked into repeating. */
export const SECRET_TOOL: Tool = {
  name: 'get_credential',
  description: 'Returns the stored secret of a service, in the clear.',
  input: SERVICE,
  output: z.object({ service: z.string(), credential: z.string() }),
  readOnly: true,
  run: async (context, { service }) => {
    const name = parseService(String(service))
    const credentials = await StoredCredentials.open(context, undefined)
    return { service: name, credential: await credentials.read(name) }
  },
}
