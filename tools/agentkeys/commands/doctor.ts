// doctor: looks at everything between this machine and a credential, and says what to do about each finding.

import type { Call } from '../command.js'
import { Context } from '../context.js'
import { checkAwsSettings, checkBroker, checkIssuer, checkLedgerKey, checkSession } from '../doctor/checks.js'
import type { Finding } from '../doctor/finding.js'
import { checkMint } from '../doctor/mint-check.js'

const MARK = { ok: 'ok  ', warning: 'warn', failure: 'FAIL' } as const

export async function run(call: Call): Promise<number> {
  const context = Context.of(call)
  const findings = await examine(context, call.values['mint'] === true)
  const lines = findings.flatMap(({ level, what, remedy }) => [
    `${MARK[level]}  ${what}`,
    ...(remedy === undefined ? [] : [`      ${remedy}`]),
  ])
  context.print({ findings }, lines.join('\n'))
  return findings.some(({ level }) => level === 'failure') ? 1 : 0
}

/** What needs the broker is not looked at where the broker does not answer. */
async function examine(context: Context, mint: boolean): Promise<Finding[]> {
  const broker = await checkBroker(context)
  const reached = broker.every(({ level }) => level !== 'failure')
  return [
    ...broker,
    ...(reached ? [...(await checkIssuer(context)), ...(await checkLedgerKey(context))] : []),
    ...(await checkSession(context)),
    ...checkAwsSettings(),
    ...(reached && mint ? await checkMint(context) : []),
  ]
}
