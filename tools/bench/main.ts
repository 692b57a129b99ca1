#!/usr/bin/env node
// The bench: what recording costs, what verifying costs, and whether either grows with the ledger.

import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { freePorts } from '../broker-process.js'
import type { AppendOrder, AppendResult } from './append.js'
import { Bench } from './bench.js'
import { type BesideRequest, besideRequest, besideText, measureBeside } from './beside.js'
import { clientsText, measureClients } from './clients.js'
import { measureGrowth } from './growth.js'
import { measureMints, type MintTimes, RECORDED_ORIGIN, recordedHome } from './mint.js'
import { measureReadSide } from './read-side.js'
import { jsonReport, machine, type Report, reportOf, textReport } from './report.js'
import type { SigningOrder, SigningResult } from './signing.js'
import { measureVerification } from './verification.js'
import { measureWitnessed } from './witnessed.js'

const USAGE = `Usage: npm run bench -- [options]

Measures mints with the ledger beside the same server without it, without receipts and without signed appends, the
main thread's time for a mint, what a follower spends on checking an append, the append path, verify-ledger
beside plain SHA-256 and over HTTP, proofs, and in the full run, where all but the first two are of a million entries,
also start-up, memory and the cost of a mint while the ledger grows.
Figures on stdout, progress on stderr. docs/performance.md explains them.

  --quick   a minute or two: no million entries
  --beside URL      only mint-oidc-jwt beside another server (http://): the same load, in turns, and the ratio
  --header 'K: V'   a header of the requests to the other server; more than once for more
  --body JSON       posted to the other server; without it, GET
  --clients only how long agentkeys takes to start, beside Node itself, and how long its daemon to answer
  --json    one JSON object instead of the table
  --help    print this

Exit codes: 0 measured, 2 wrong usage, 3 something could not be run.`

const QUICK: MintTimes = { rounds: 4, seconds: 2, warmUpSeconds: 2 }
const FULL: MintTimes = { rounds: 9, seconds: 4, warmUpSeconds: 5 }

async function measure(bench: Bench, quick: boolean): Promise<Report> {
  const before = machine()
  const mint = await measureMints(bench, quick ? QUICK : FULL)
  const signing = await measureSigning(bench)
  const witnessed = await measureWitnessed(bench, quick ? 3 : 8)
  const append = await measureAppend(bench, quick ? 3 : 8)
  const growth = quick ? undefined : await measureGrowth(bench)
  const home = growth?.home ?? { ...recordedHome(bench), ports: await freePorts() }
  const ledgerPath = join(home.dataDir, 'ledger.sqlite')
  const verify = await measureVerification(bench, ledgerPath, quick ? 2 : 3)
  const readSide = await measureReadSide(bench, home, quick ? 2 : 3)
  return reportOf({ machine: before, mint, signing, witnessed, append, verify, readSide, growth })
}

interface Form {
  quick: boolean
  json: boolean
}

async function wholeReport(bench: Bench, { quick, json }: Form): Promise<string> {
  const report = await measure(bench, quick)
  return json ? jsonReport(report) : textReport(report)
}

async function clients(bench: Bench, { quick, json }: Form): Promise<string> {
  const result = await measureClients(bench, quick ? 10 : 30)
  return json ? `${JSON.stringify(result)}\n` : clientsText(result)
}

function reportWanted(bench: Bench, flags: ReturnType<typeof parse>): Promise<string> {
  if (flags.request) return besideReport(bench, flags.request, flags)
  return flags.clients ? clients(bench, flags) : wholeReport(bench, flags)
}

async function besideReport(bench: Bench, request: BesideRequest, { quick, json }: Form): Promise<string> {
  const figures = await measureBeside(bench, request, quick ? QUICK : FULL)
  return json ? `${JSON.stringify(figures)}\n` : besideText(figures, request.url)
}

async function measureAppend(bench: Bench, seconds: number): Promise<AppendResult> {
  bench.progress('appending')
  const child = bench.child<AppendOrder, AppendResult>('./append.js')
  const order = { callers: bench.connections, seconds }
  // Once for the compiler, once for the figure.
  await child.ask({ ...order, path: bench.path('warm-up.sqlite'), seconds: 1 })
  const result = await child.ask({ ...order, path: bench.path('append.sqlite') })
  await child.end()
  return result
}

async function measureSigning(bench: Bench): Promise<SigningResult> {
  const { dataDir } = recordedHome(bench)
  const [ledgerPath, keyPath] = [join(dataDir, 'ledger.sqlite'), join(dataDir, 'ledger-key.json')]
  const child = bench.child<SigningOrder, SigningResult>('./signing.js')
  const result = await child.ask({ ledgerPath, keyPath, origin: RECORDED_ORIGIN })
  await child.end()
  return result
}

function parse(args: string[]) {
  const flag = { type: 'boolean', default: false } as const
  const text = { type: 'string' } as const
  const header = { type: 'string', multiple: true } as const
  const beside = { beside: text, header, body: text }
  const options = { quick: flag, clients: flag, json: flag, help: flag, ...beside } as const
  const { values } = parseArgs({ args, options })
  const { beside: url, header: headers, body } = values
  if (url === undefined && (headers !== undefined || body !== undefined))
    throw new Error('--header and --body are of --beside URL')
  return { ...values, request: url === undefined ? undefined : besideRequest(url, headers ?? [], body) }
}

async function main(args: string[]): Promise<number> {
  let flags: ReturnType<typeof parse>
  try {
    flags = parse(args)
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}\nTry npm run bench -- --help\n`)
    return 2
  }
  if (flags.help) {
    process.stdout.write(`${USAGE}\n`)
    return 0
  }
  const bench = new Bench()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void bench.close().finally(() => process.exit(130)))
  try {
    process.stdout.write(await reportWanted(bench, flags))
    return 0
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).stack ?? String(error)}\n`)
    return 3
  } finally {
    await bench.close()
  }
}

process.exitCode = await main(process.argv.slice(2))
