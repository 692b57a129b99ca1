import type { Config } from '../config.js'
import { nameOfLedgerKey } from '../ledger/key.js'

/** A ledger that was opened under the former default name keeps it: the key file has the name of its ledger. */
export function withKeptOrigin(config: Config): Config {
  const { formerOrigin, keyPath } = config.ledger
  if (formerOrigin === undefined || nameOfLedgerKey(keyPath) !== formerOrigin) return config
  return { ...config, ledger: { ...config.ledger, origin: formerOrigin } }
}
