import type { Call } from '../command.js'
import { Context } from '../context.js'
import { StoredCredentials } from '../stored-credentials.js'
import { textTable } from '../text-table.js'

const COLUMNS = ['timestamp', 'agent', 'service', 'action', 'result'] as const

/** What was done with stored credentials, as the session backend recorded it. */
export async function run(call: Call): Promise<number> {
  const context = Context.of(call)
  const { token: bearer } = await context.requireSession()
  const { agent, backend } = await StoredCredentials.open(context, call.args[0])
  const query = new URLSearchParams(call.args[0] === undefined ? { owner: agent } : { agent })
  const { events } = await backend.ask({ method: 'GET', path: `audit/query?${query.toString()}`, bearer })
  const rows = (Array.isArray(events) ? events : []) as Record<string, unknown>[]
  if (context.json) process.stdout.write(`${JSON.stringify(rows)}\n`)
  else
    process.stdout.write(
      textTable(
        COLUMNS,
        rows.map((row) => COLUMNS.map((name) => cell(row[name]))),
      ),
    )
  return 0
}

function cell(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}
