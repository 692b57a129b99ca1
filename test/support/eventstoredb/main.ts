// The stand-in as a process of its own, so that several brokers can share one ledger and a test can freeze or kill it.
//
//   node dist/test/support/eventstoredb/main.js [--port N] [--db FILE] [--users FILE.json] [--tls-key PEM --tls-cert PEM]
//                                               [--silence-ms N]
//
// Prints `listening on PORT` when it is ready. SIGTERM stops it the way a real node stops. A parent that started it
// with an IPC channel can plan faults: {"appends": ["busy"]}, {"reads": ["stall"]}.

import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

import type { User } from './access.js'
import { Database } from './database.js'
import type { AppendFault, ReadFault } from './faults.js'
import { StandIn, type StandInOptions } from './stand-in.js'

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    db: { type: 'string' },
    users: { type: 'string' },
    'tls-key': { type: 'string' },
    'tls-cert': { type: 'string' },
    'silence-ms': { type: 'string', default: '5000' },
  },
})

const options: StandInOptions = { database: new Database(values.db) }
if (values.users) options.users = JSON.parse(readFileSync(values.users, 'utf8')) as Record<string, User>
if (values['tls-key'] && values['tls-cert'])
  options.tls = { key: readFileSync(values['tls-key']), certificate: readFileSync(values['tls-cert']) }

const standIn = await new StandIn(options).start(Number(values.port))
process.stdout.write(`listening on ${standIn.port}\n`)

process.on('message', (plan: { appends?: AppendFault[]; reads?: ReadFault[] }) => {
  standIn.appends.next(...(plan.appends ?? []))
  standIn.reads.next(...(plan.reads ?? []))
})
process.once('disconnect', () => process.exit(0))
process.once('SIGTERM', () => {
  void standIn.stop(Number(values['silence-ms'])).then(() => process.exit(0))
})
