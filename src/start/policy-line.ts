// agentkeys-broker policy …: its part of the command line.

import { parseArgs } from 'node:util'

import type { MintKind } from '../domain/ledger/events.js'

export type PolicyLine =
  | { verb: 'schema' | 'default' }
  | { verb: 'check'; folder: string | undefined }
  | { verb: 'test'; file: string }
  | { verb: 'explain'; ask: ExplainedAsk }
  | { verb: 'replay'; folder: string | undefined; json: boolean }

export interface ExplainedAsk {
  wallet: string
  kind: MintKind
  role: string | undefined
  audience: string | undefined
  seconds: number | undefined
  agent: string | undefined
  /** Undefined: now. */
  at: Date | undefined
}

export const POLICY_USAGE = `agentkeys-broker policy schema|default | check [DIR] | test FILE | replay [DIR] [--json]
       agentkeys-broker policy explain --wallet W [--kind jwt|creds] [--role R] [--audience A] [--seconds N] [--agent A] [--at TIME]`

export class WrongPolicyLine extends Error {}

const WALLET = /^0x[0-9a-fA-F]{40}$/

export function parsePolicyLine(args: readonly string[]): PolicyLine {
  const text = { type: 'string' } as const
  const options = {
    ...{ wallet: text, kind: text, role: text, audience: text, seconds: text, agent: text, at: text },
    json: { type: 'boolean', default: false },
  } as const
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
  const { json, ...asked } = values
  const [verb, operand, ...more] = positionals
  const wrong = () => new WrongPolicyLine(`Usage: ${POLICY_USAGE}`)
  const isAsked = Object.keys(asked).length > 0
  if (more.length > 0 || isAsked !== (verb === 'explain') || (json && verb !== 'replay')) throw wrong()
  switch (verb) {
    case 'schema':
    case 'default':
      if (operand !== undefined) throw wrong()
      return { verb }
    case 'check':
      return { verb, folder: operand }
    case 'replay':
      return { verb, folder: operand, json }
    case 'test':
      if (operand === undefined) throw wrong()
      return { verb, file: operand }
    case 'explain':
      if (operand !== undefined) throw wrong()
      return { verb, ask: parseAsk(asked) }
    default:
      throw wrong()
  }
}

type Asked = { [name in 'wallet' | 'kind' | 'role' | 'audience' | 'seconds' | 'agent' | 'at']?: string }

function parseAsk({ wallet = '', kind = 'jwt', role, audience, seconds, agent, at }: Asked): ExplainedAsk {
  if (!WALLET.test(wallet)) throw new WrongPolicyLine('--wallet: expected 0x and 40 hex digits')
  if (kind !== 'jwt' && kind !== 'creds') throw new WrongPolicyLine('--kind: expected jwt or creds')
  if (seconds !== undefined && !/^[0-9]{1,6}$/.test(seconds))
    throw new WrongPolicyLine('--seconds: expected a whole number')
  const time = at === undefined ? undefined : new Date(at)
  if (time && Number.isNaN(time.getTime()))
    throw new WrongPolicyLine('--at: expected a time, as 2026-11-27T08:00:00Z')
  return {
    ...{
      wallet: wallet.toLowerCase(),
      kind: kind === 'jwt' ? 'oidc_jwt' : 'aws_creds',
      role,
      audience,
      agent,
    },
    seconds: seconds === undefined ? undefined : Number(seconds),
    at: time,
  }
}
