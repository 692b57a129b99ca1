// agentkeys-broker cut-off and restore: asks the running broker, which holds the ledger, with the operator's token.

import type { Config } from '../config.js'
import { formatAddress } from '../config/address.js'
import { denyPolicy } from '../domain/aws-deny.js'
import type { CutOffTarget } from '../domain/ledger/events.js'
import { readPrivateFile } from '../storage/private-file.js'
import type { Outcome } from './outcome.js'

export interface CutOffArguments {
  kind: 'cut-off' | 'restore'
  target: CutOffTarget
  reason: string | undefined
}

/** Longer than a broker waits for its ledger. */
const WITHIN_MS = 15_000

export async function changeCutOff(line: CutOffArguments, config: Config): Promise<Outcome> {
  const { kind, target, reason } = line
  try {
    const token = readPrivateFile(config.operatorTokenFile)?.trim()
    if (!token) throw new Error(`there is no operator token at ${config.operatorTokenFile}`)
    const response = await fetch(`${broker(config)}/v1/${kind}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ ...target, reason }),
      signal: AbortSignal.timeout(WITHIN_MS),
    })
    const answer = (await response.json()) as Answer
    if (!response.ok) return { code: 1, message: `${kind}: ${answer.message}` }
    return { code: 0, message: kind === 'restore' ? restored(target, answer) : cutOff(target, answer) }
  } catch (error) {
    const { message, cause } = error as Error
    const why = cause instanceof Error ? `${message} (${cause.message})` : message
    return { code: 3, message: `${kind}: ${why}: is the broker running at ${broker(config)}?` }
  }
}

interface Answer {
  message: string
  at: string
  deny_issued_before: string
  ledger: { index: number }
}

/** What listens on every address of a machine is reached on its loopback. */
function broker({ bind, port }: Config): string {
  const host = { '0.0.0.0': '127.0.0.1', '::': '::1' }[bind] ?? bind
  return `http://${formatAddress({ host, port })}`
}

function restored({ kind, target }: CutOffTarget, { ledger, at }: Answer): string {
  return (
    `${kind} ${target} is restored by entry ${ledger.index}, ${at}. ` +
    'Take away the deny policy too, if one is still attached in AWS.'
  )
}

function cutOff(target: CutOffTarget, { at, ledger, deny_issued_before: before }: Answer): string {
  const policy = denyPolicy(target, before)
  return [
    `${target.kind} ${target.target} is cut off by entry ${ledger.index}, ${at}: no broker of this ledger mints for it.`,
    '',
    'AWS sessions that were handed out before go on until they expire. To end them, put this policy on each role they are of',
    '(aws iam put-role-policy --role-name ROLE --policy-name agentkeys-cut-off --policy-document file://FILE). IAM takes some',
    'seconds. Remove it when the longest session of the role, counted from the time in it, is over.',
    '',
    policy
      ? JSON.stringify(policy, null, 2)
      : 'AWS does not know which session of the broker a session of its own came from: cut off the wallet as well.',
  ].join('\n')
}
