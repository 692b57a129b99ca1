// A process that projects a SQLite ledger into a read model and says how far it is, until it is done. With REPORTS it is
// killed once it has said so that many times: by itself, so that no machine is too slow to do it.
// node project-ledger.js LEDGER READ_MODEL [REPORTS]

import { SqliteEventStore } from '../../src/event-store/sqlite.js'
import { Projector } from '../../src/projections/projector.js'
import { SIGNATURES, SIGNER } from './ledger-signer.js'
import { KeysView } from '../../src/projections/signing-keys.js'

const [ledger = '', readModelPath = '', reports] = process.argv.slice(2)
const store = new SqliteEventStore(ledger)
const log = { info: () => undefined, warn: console.error, error: console.error }
const projector = new Projector(store, new KeysView(() => new Date(), SIGNATURES), {
  readModelPath,
  trust: { ledgerKey: SIGNER.key },
  log,
})
await projector.start()
const size = await store.size()
for (let at = projector.position, said = 1; at < size; at = projector.position, said += 1) {
  await projector.caughtUpTo(at + 1)
  process.stdout.write(`${projector.position}\n`)
  if (said === Number(reports)) process.kill(process.pid, 'SIGKILL')
}
await projector.stop()
await store.close()
