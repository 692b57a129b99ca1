// policy replay: a policy over all mints of the ledger. Of what was handed out, what would it have refused?

import { existsSync } from 'node:fs'

import type { Config } from '../../config.js'
import { openStore } from '../../start/ledger-store.js'
import { loadCedar } from '../../policy/cedar.js'
import { CedarEngine } from '../../policy/cedar-engine.js'
import type { CedarSet } from '../../policy/cedar-set.js'
import { type Outcome } from '../outcome.js'
import { MintReplay } from './mint-replay.js'

const BATCH = 500
const PROGRESS_EVERY = 100_000

export interface ReplayOptions extends Pick<Config, 'ledger' | 'insecureLedger'> {
  timezone: string
  json: boolean
}

/** Memory does not grow with the ledger: of the mints that would change, the first are kept, and all are counted. */
export async function replay(set: CedarSet, options: ReplayOptions): Promise<Outcome> {
  const { store: at } = options.ledger
  if (at.kind === 'sqlite' && !existsSync(at.path)) throw new Error(`there is no ledger at ${at.path}`)
  const engine = new CedarEngine(await loadCedar(), 'check')
  engine.prepare(set)()
  const replayed = new MintReplay(engine, options.timezone)
  const store = await openStore(at, { node: 'policy-replay', insecure: options.insecureLedger })
  try {
    const size = await store.size()
    for (let index = 0; index < size;) {
      const batch = await store.read(index, Math.min(BATCH, size - index))
      if (batch.length === 0) break
      for (const { text } of batch) replayed.take(text)
      const next = index + batch.length
      if (Math.floor(next / PROGRESS_EVERY) > Math.floor(index / PROGRESS_EVERY))
        process.stderr.write(`policy replay: ${next} of ${size} entries\n`)
      index = next
    }
    const report = { policySha256: set.sha256, entries: size, ...replayed.report() }
    return { code: 0, message: options.json ? JSON.stringify(report) : described(report) }
  } finally {
    await store.close()
  }
}

type Report = { policySha256: string; entries: number } & ReturnType<MintReplay['report']>

function described({ policySha256, entries, mints, changed, byPolicy, first }: Report): string {
  const policies = Object.entries(byPolicy).map(([id, count]) => `  ${count} by ${id}`)
  const shown = first.map(
    ({ index, wallet, mintId, by }) => `  entry ${index}: mint ${mintId} of ${wallet}, by ${by}`,
  )
  return [
    `${mints} mints in ${entries} entries: ${changed} would have been refused by policy ${policySha256}`,
    ...policies,
    ...(shown.length > 0 ? ['The first of them:', ...shown] : []),
  ].join('\n')
}
