// verify-ledger SOURCE

import type { Expected } from '../../src/domain/ledger/verify.js'

import { parseArguments } from './arguments.js'
import { verifySource } from './checks.js'
import { Progress } from './progress.js'
import { jsonReport, textReport } from './report.js'
import { openSource, parseSource } from './sources/open.js'
import { UsageError } from './usage-error.js'

export async function verifyCommand(args: readonly string[]): Promise<number> {
  const { values, source: name } = parseArguments(args, {
    json: { type: 'boolean' },
    'expect-size': { type: 'string' },
    'expect-head': { type: 'string' },
  })
  const expected = parseExpected(values['expect-size'], values['expect-head'])
  const source = await openSource(parseSource(name))
  const progress = new Progress('verifying')
  const started = performance.now()
  try {
    const verdict = await verifySource(source, expected, (entries) =>
      progress.show(source.progress(), entries),
    )
    progress.end()
    const seconds = (performance.now() - started) / 1000
    const report = { source: source.description, verdict, seconds, expected }
    process.stdout.write(values.json ? jsonReport(report) : textReport(report))
    return verdict.ok ? 0 : 1
  } finally {
    progress.end()
    await source.close()
  }
}

function parseExpected(size: string | undefined, head: string | undefined): Expected | undefined {
  if (head !== undefined && !/^[0-9a-f]{64}$/.test(head)) {
    throw new UsageError('--expect-head must be 64 lower-case hex digits')
  }
  if (size === undefined) {
    if (head !== undefined)
      throw new UsageError('--expect-head needs --expect-size: a head is the head of a size')
    return undefined
  }
  if (!/^[1-9]\d{0,14}$/.test(size))
    throw new UsageError('--expect-size must be a number of entries, 1 or more')
  return { size: Number(size), ...(head !== undefined && { head }) }
}
