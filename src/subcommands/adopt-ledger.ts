// agentkeys-broker adopt-ledger: takes over, once and deliberately, entries that no holder of the ledger key signed.

import { existsSync } from 'node:fs'

import { v7 as uuidv7 } from 'uuid'

import type { Config } from '../config.js'
import type { EventStore } from '../event-store/event-store.js'
import { adopt, findUnsigned, type Unsigned } from '../ledger/adopt.js'
import { loadLedgerKey } from '../ledger/key.js'
import { openStore } from '../start/ledger-store.js'
import { openDataDir } from '../storage/data-dir.js'
import { VERSION } from '../version.js'
import { codeOfFailure, type Outcome } from './outcome.js'

/** As verify-ledger prints them: what the operator has verified, and nothing else, is taken over. */
export interface AdoptLedgerArguments {
  size: number | undefined
  head: string | undefined
}

export async function adoptLedger(expected: AdoptLedgerArguments, config: Config): Promise<Outcome> {
  let store: EventStore | undefined
  let release: (() => void) | undefined
  try {
    const { keyPath, origin, store: at } = config.ledger
    if (at.kind === 'sqlite' && !existsSync(at.path))
      throw new Error(`there is no ledger at ${at.path}: let BROKER_LEDGER_URL name it`)
    const signer = loadLedgerKey(keyPath, origin)?.signer
    if (!signer) throw new Error(`there is no ledger key at ${keyPath}: restore it from its backup`)
    // No broker of this data dir may run meanwhile.
    const dataDir = openDataDir(config.dataDir, config.nodeId, () => uuidv7())
    release = () => dataDir.release()
    store = await openStore(at, { node: dataDir.nodeId, insecure: config.insecureLedger })
    const unsigned = await findUnsigned(store, signer)
    if (!unsigned)
      return { code: 0, message: `${store.description}: a broker signed all of it: nothing to do` }
    const { last } = unsigned
    if (expected.size !== last.entry.index + 1 || expected.head !== last.leafHash)
      return { code: 1, message: `adopt-ledger: ${found(store, unsigned)}` }
    const software = `agentkeys-broker/${VERSION}`
    const size = await adopt(store, unsigned, { signer, software, now: new Date() })
    return {
      code: 0,
      message: `${store.description}: entries from ${unsigned.from} on taken over by entry ${size - 1}`,
    }
  } catch (error) {
    return { code: codeOfFailure(error), message: `adopt-ledger: ${(error as Error).message}` }
  } finally {
    await store?.close()
    release?.()
  }
}

function found({ description }: EventStore, { last, from, keys }: Unsigned): string {
  const { index } = last.entry
  return [
    `${description}: entries ${from} to ${index}, or what they say of signing keys, are signed by no broker. Nothing was done.`,
    ...keys.map(
      ({ kid, state, thumbprint }) => `signing key ${kid}: ${state}, RFC 7638 thumbprint ${thumbprint}`,
    ),
    'If verify-ledger finds nothing else, and all of these keys are yours, take them over with',
    `  agentkeys-broker adopt-ledger --expect-size ${index + 1} --expect-head ${last.leafHash}`,
  ].join('\n')
}
