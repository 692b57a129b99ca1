// receipts list|show|verify|export: what the ledger proved about this user's mints.

import type { Entry } from '../../../src/domain/ledger/entry.js'
import { parseProof } from '../../../src/domain/ledger/proof.js'
import { verifyReceipt } from '../../../src/domain/ledger/receipt.js'
import { FormatError } from '../../../src/domain/ledger/encoding.js'
import { ledgerPolicy } from '../../client/receipts.js'
import { type Call, UsageError } from '../command.js'
import { Context } from '../context.js'
import { readPin } from '../pin.js'
import { readReceipt, receiptIds } from '../receipt-folder.js'
import { CliError } from '../report-error.js'

export function run(call: Call): Promise<number> {
  const context = Context.of(call)
  const [what, id] = call.args
  switch (what) {
    case 'list':
      return Promise.resolve(list(context))
    case 'show':
      return Promise.resolve(show(context, requireId(id)))
    case 'verify':
      return Promise.resolve(verify(context, id === undefined ? receiptIds(context.home) : [id]))
    case 'export':
      process.stdout.write(receiptOf(context, requireId(id)))
      return Promise.resolve(0)
    default:
      throw new UsageError('receipts: one of list, show, verify, export')
  }
}

interface Checked {
  id: string
  entry: Entry | undefined
  problem: string | undefined
}

function list(context: Context): number {
  const rows = receiptIds(context.home).map((id) => check(context, id))
  const lines = rows.map(({ id, entry, problem }) =>
    entry ? `${id}  ${entry.time}  ${String(entry.index).padStart(9)}  ${entry.type}` : `${id}  ${problem}`,
  )
  context.print({ receipts: rows.map(asJson) }, lines.length === 0 ? 'No receipts yet.' : lines.join('\n'))
  return 0
}

function show(context: Context, id: string): number {
  const checked = check(context, id)
  if (!checked.entry) throw new CliError(`${id}: ${checked.problem}`, 'tell an auditor', 1)
  const { entry } = checked
  const members = Object.entries({ index: entry.index, time: entry.time, type: entry.type, ...entry.data })
  const text = members.map(([name, value]) => `${name.padEnd(20)} ${String(value)}`).join('\n')
  context.print(asJson(checked), text)
  return 0
}

function verify(context: Context, ids: readonly string[]): number {
  const bad = ids.map((id) => check(context, id)).filter(({ problem }) => problem !== undefined)
  const text = [
    ...bad.map(({ id, problem }) => `${id}  ${problem}`),
    `${ids.length - bad.length} of ${ids.length} receipts prove their entry`,
  ]
  context.print({ verified: ids.length - bad.length, problems: bad.map(asJson) }, text.join('\n'))
  return bad.length === 0 ? 0 : 1
}

/** Against the pinned key only: a receipt cannot vouch for itself. */
function check(context: Context, id: string): Checked {
  const text = receiptOf(context, id)
  const pin = readPin(context.home)
  if (!pin) throw new CliError('no ledger key is pinned for this broker', 'pin it: agentkeys init', 1)
  try {
    const verdict = verifyReceipt(parseProof(text), ledgerPolicy(pin.vkey), {})
    return verdict.ok
      ? { id, entry: verdict.entry, problem: undefined }
      : { id, entry: undefined, problem: `does not verify: ${verdict.problem}` }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    return { id, entry: undefined, problem: `cannot be read: ${error.message}` }
  }
}

function receiptOf({ home }: Context, id: string): string {
  const text = readReceipt(home, id)
  if (text === undefined)
    throw new CliError(`there is no receipt ${id}`, 'agentkeys receipts list shows what is kept', 1)
  return text
}

function requireId(id: string | undefined): string {
  if (id !== undefined) return id
  throw new UsageError('the mint id is missing: agentkeys receipts list shows them')
}

function asJson({ id, entry, problem }: Checked) {
  return { mint_id: id, ...(entry ? { entry } : { problem }) }
}
