// One broker on EventStoreDB against the bare client that appends groups of the same size, and against the same broker
// on SQLite: in one run, in turn, on the stand-in. What is compared are ratios.
//
//   node dist/test/bench/one-broker.js [SECONDS] [ROUNDS]

import { EventStoreDBClient, jsonEvent, NO_STREAM } from '@eventstore/db-client'

import type { Sealed } from '../../src/domain/ledger/entry.js'
import { Bench } from '../../tools/bench/bench.js'
import type { LoadResult } from '../../tools/bench/load.js'
import { MINT_PATH } from '../../tools/bench/mint.js'
import { median } from '../../tools/bench/statistics.js'
import { type BrokerProcess, freePorts } from '../../tools/broker-process.js'
import { StandInProcess } from '../support/eventstoredb/process.js'
import { ledgerOf } from '../support/ledger-builder.js'

const WARM_UP_SECONDS = 4
/** What is asked for, printed beside what was measured. docs/scaling.md, "What was measured, and what was not". */
const WANTED = { ofTheBareClient: 'at least 0.5', p99Ms: 'under 150' }
const CREDENTIALS = { username: 'none', password: 'none' }

interface Measured extends LoadResult {
  entriesASecond: number
  /** Undefined where the store counts no appends. */
  entriesAnAppend: number | undefined
}

async function metrics({ url }: BrokerProcess): Promise<{ entries: number; appends: number }> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const value = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
  return { entries: value('agentkeys_ledger_entries'), appends: value('agentkeys_ledger_appends') }
}

/** A broker, and who mints at it. */
class Loaded {
  private constructor(
    private readonly bench: Bench,
    private readonly broker: BrokerProcess,
    private readonly bearers: string[],
  ) {}

  static async start(bench: Bench, name: string, ledgerUrl?: string): Promise<Loaded> {
    const broker = await bench.broker({
      dataDir: bench.path(name),
      ports: await freePorts(),
      env: {
        BROKER_ALLOWED_AUDIENCES: 'api.example.com',
        BROKER_LOG: 'warn',
        ...(ledgerUrl && { BROKER_LEDGER_URL: ledgerUrl }),
      },
      // The stand-in has no rights here, as a server without TLS has none.
      flags: ledgerUrl ? ['--insecure-ledger'] : [],
    })
    const sessions = Array.from({ length: bench.connections }, (_, i) => broker.session(`bench ${i}`))
    return new Loaded(
      bench,
      broker,
      (await Promise.all(sessions)).map(({ session }) => session),
    )
  }

  async round(seconds: number): Promise<Measured> {
    const port = Number(new URL(this.broker.url).port)
    const before = await metrics(this.broker)
    const result = await this.bench.load.ask({ port, path: MINT_PATH, bearers: this.bearers, seconds })
    const after = await metrics(this.broker)
    const [entries, appends] = [after.entries - before.entries, after.appends - before.appends]
    return {
      ...result,
      entriesASecond: entries / result.seconds,
      entriesAnAppend: Number.isNaN(appends) ? undefined : entries / appends,
    }
  }
}

/** Appends as the broker does: one at a time, at an exact revision, by the plain call, the entries as events. */
class BareClient {
  private readonly client: EventStoreDBClient
  private readonly entries = [...ledgerOf(5_000)].flat()
  private streams = 0

  constructor(url: string) {
    this.client = EventStoreDBClient.connectionString(url)
  }

  async entriesASecond(group: number, seconds: number): Promise<number> {
    this.streams += 1
    const stream = `bare-${this.streams}`
    const begun = performance.now()
    let size = 0
    while (performance.now() - begun < seconds * 1000) {
      await this.client.appendToStream(stream, this.group(size, group), {
        expectedRevision: size === 0 ? NO_STREAM : BigInt(size - 1),
        credentials: CREDENTIALS,
      })
      size += group
    }
    return (size * 1000) / (performance.now() - begun)
  }

  dispose(): Promise<void> {
    return this.client.dispose()
  }

  private group(from: number, count: number) {
    const upTo = from + count - 1
    return Array.from({ length: count }, (_, i) => {
      const { entry } = this.entries[(from + i) % this.entries.length] as Sealed
      const { v, index, time, prev } = entry
      const metadata = Buffer.from(JSON.stringify({ v, index, time, prev, by: 'bench', upTo }))
      return jsonEvent({ type: entry.type, data: entry.data, metadata: new Uint8Array(metadata) })
    })
  }
}

const round = (value: number, digits = 0) => Math.round(value * 10 ** digits) / 10 ** digits
const show = (name: string, values: object) => process.stdout.write(`${name} ${JSON.stringify(values)}\n`)

function shown({ entriesASecond, entriesAnAppend, p50Ms, p99Ms, maxMs }: Measured): object {
  return {
    entriesASecond: round(entriesASecond),
    ...(entriesAnAppend === undefined ? {} : { entriesAnAppend: round(entriesAnAppend, 1) }),
    ...{ p50Ms: round(p50Ms), p99Ms: round(p99Ms), maxMs: round(maxMs) },
  }
}

const [seconds = 5, rounds = 3] = process.argv.slice(2).map(Number)
const bench = new Bench()
const standIn = await StandInProcess.start()
const bare = new BareClient(standIn.url)
try {
  const onStandIn = await Loaded.start(bench, 'stand-in', standIn.url)
  const onSqlite = await Loaded.start(bench, 'sqlite')
  const { entriesAnAppend: first = 1 } = await onStandIn.round(WARM_UP_SECONDS)
  await onSqlite.round(WARM_UP_SECONDS)
  await bare.entriesASecond(Math.round(first), WARM_UP_SECONDS)

  const results: { broker: Measured; bare: number; sqlite: Measured }[] = []
  for (let i = 0; i < rounds; i += 1) {
    const broker = await onStandIn.round(seconds)
    const group = Math.max(1, Math.round(broker.entriesAnAppend ?? 1))
    const alone = await bare.entriesASecond(group, seconds)
    const sqlite = await onSqlite.round(seconds)
    results.push({ broker, bare: alone, sqlite })
    show('broker on the stand-in', shown(broker))
    show('bare client', { entriesASecond: round(alone), entriesAnAppend: group })
    show('broker on SQLite', shown(sqlite))
  }
  show('median of the rounds', {
    ofTheBareClient: round(median(results.map(({ broker, bare }) => broker.entriesASecond / bare)), 2),
    ofSqlite: round(
      median(results.map(({ broker, sqlite }) => broker.entriesASecond / sqlite.entriesASecond)),
      2,
    ),
    p99Ms: round(median(results.map(({ broker }) => broker.p99Ms))),
    wanted: WANTED,
  })
} finally {
  await bench.close()
  await bare.dispose()
  await standIn.end()
}
