// agentkeys-broker cut-off and restore: asks the running broker, which holds the ledger, with the operator's token.

import type { Config } from '../config.js'
import { denyPolicy } from '../domain/aws-deny.js'
import type { CutOffTarget } from '../domain/ledger/events.js'
import { askBroker } from './ask-broker.js'
import type { Outcome } from './outcome.js'

export interface CutOffArguments {
  kind: 'cut-off' | 'restore'
  target: CutOffTarget
  reason: string | undefined
}

export function changeCutOff(line: CutOffArguments, config: Config): Promise<Outcome> {
  const { kind, target, reason } = line
  const asked = { name: kind, path: `/v1/${kind}`, body: { ...target, reason } }
  return askBroker<Answer>(config, asked, (answer) =>
    kind === 'restore' ? restored(target, answer) : cutOff(target, answer),
  )
}

interface Answer {
  at: string
  deny_issued_before: string
  ledger: { index: number }
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
