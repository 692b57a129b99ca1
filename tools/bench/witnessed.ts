// What waiting for a witness costs: a broker whose every mint needs one, and a witness that answers after 20 ms.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { parseVkey } from '../../src/domain/ledger/note.js'
import { loadOrCreateLedgerKey } from '../../src/ledger/key.js'
import { freePorts } from '../broker-process.js'
import { startLocalWitness } from '../local-witness/server.js'
import type { Bench } from './bench.js'

export interface WitnessedFigures {
  perSecond: number
  p50Ms: number
  p99Ms: number
  connections: number
  witnessMs: number
}

const CONNECTIONS = 32
const WITNESS_MS = 20
const ORIGIN = 'bench.invalid/ledger'

export async function measureWitnessed(bench: Bench, seconds: number): Promise<WitnessedFigures> {
  bench.progress('minting, with a witness')
  const dataDir = bench.path('witnessed')
  mkdirSync(dataDir)
  const { vkey } = loadOrCreateLedgerKey(join(dataDir, 'ledger-key.json'), ORIGIN)
  const witness = await startLocalWitness({
    dir: bench.path('witness'),
    logs: [parseVkey(vkey)],
    delayMs: WITNESS_MS,
  })
  try {
    const policyPath = join(dataDir, 'witness-policy')
    writeFileSync(policyPath, `log ${vkey}\nwitness w ${witness.vkey} ${witness.url}\nquorum w\n`)
    const env = {
      BROKER_LEDGER_ORIGIN: ORIGIN,
      BROKER_WITNESS_POLICY: policyPath,
      BROKER_RELEASE_REQUIRES: 'witnessed',
    }
    const ports = await freePorts()
    const broker = await bench.broker({ dataDir, ports, env, flags: ['--skip-startup-check'] })
    const bearers: string[] = []
    for (let n = 0; n < CONNECTIONS; n += 1) bearers.push((await broker.session(`bench-${n}`)).session)
    const order = { port: ports[0], path: '/v1/mint-oidc-jwt', bearers }
    await bench.load.ask({ ...order, seconds: 1 })
    const { requests, seconds: took, p50Ms, p99Ms } = await bench.load.ask({ ...order, seconds })
    await broker.stop()
    return { perSecond: requests / took, p50Ms, p99Ms, connections: CONNECTIONS, witnessMs: WITNESS_MS }
  } finally {
    await witness.close()
  }
}
