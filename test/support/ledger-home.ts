// Where a broker's ledger lives: in its own SQLite file, or in the stream of an EventStoreDB (the stand-in) that was set
// up as docs/eventstoredb.md says: TLS with a private CA, and a user that may read and append. What must not depend on
// it is tested with each: describe.each(LEDGERS).

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { EventStore, Stored } from '../../src/event-store/event-store.js'
import { parseAddress } from '../../src/event-store/eventstoredb/address.js'
import { toStored } from '../../src/event-store/eventstoredb/event.js'
import { initEventStore } from '../../src/event-store/eventstoredb/setup.js'
import { EventStoreDbEventStore } from '../../src/event-store/eventstoredb.js'
import { SqliteEventStore } from '../../src/event-store/sqlite.js'
import { certificates, nodeCertificate } from './eventstoredb/certificates.js'
import type { Database } from './eventstoredb/database.js'
import { STREAM } from './eventstoredb/ledger.js'
import { StandIn, type StandInOptions } from './eventstoredb/stand-in.js'
import { writeSqlite } from './ledger-builder.js'
import { ledgerPath } from './verified-ledger.js'

export interface LedgerHome {
  /** What a broker must be given for its ledger to be here. */
  readonly env: Record<string, string>
  /** A folder with a ledger.sqlite that holds what the ledger holds now: the broker's own, or a copy of the stream. */
  folder(dataDir: string): string
  /** The ledger itself, to be closed. */
  open(dataDir: string): EventStore
  dispose(): Promise<void>
}

export const LEDGERS: readonly { ledger: 'sqlite' | 'esdb'; openHome: () => Promise<LedgerHome> }[] = [
  { ledger: 'sqlite', openHome: () => Promise.resolve(inTheDataDir) },
  { ledger: 'esdb', openHome: () => EventStoreDbHome.open() },
]

const inTheDataDir: LedgerHome = {
  env: {},
  folder: (dataDir) => dataDir,
  open: (dataDir) => new SqliteEventStore(ledgerPath(dataDir)),
  dispose: () => Promise.resolve(),
}

const ADMIN = { password: 'changeit', groups: ['$admins'] }
const PASSWORDS = { app: 'app/password:0123', audit: 'audit-password-0123' }

export class EventStoreDbHome implements LedgerHome {
  private copies = 0

  private constructor(
    private node: StandIn,
    private readonly at: string,
    private readonly tls: NonNullable<StandInOptions['tls']>,
    readonly caFile: string,
  ) {}

  get standIn(): StandIn {
    return this.node
  }

  static async open(): Promise<EventStoreDbHome> {
    const at = mkdtempSync(join(tmpdir(), 'eventstoredb-home-'))
    const { caFile, tls } = certificates(at)
    const standIn = await new StandIn({ tls, users: { admin: ADMIN } }).start()
    const home = new EventStoreDbHome(standIn, at, tls, caFile)
    await initEventStore(parseAddress(home.urlFor('admin', ADMIN.password)), PASSWORDS)
    return home
  }

  get env(): Record<string, string> {
    return { BROKER_LEDGER_URL: this.url }
  }

  /** The brokers' user. */
  get url(): string {
    return this.urlFor('ledger-app', PASSWORDS.app)
  }

  /** The same, for a client that reaches the node by another port. */
  urlThrough(port: number): string {
    return this.urlFor('ledger-app', PASSWORDS.app, port)
  }

  urlFor(user: string, password: string, port = this.standIn.port): string {
    const credentials = `${user}:${encodeURIComponent(password)}`
    return `esdb://${credentials}@127.0.0.1:${port}?tlsCAFile=${encodeURIComponent(this.caFile)}`
  }

  /** Another node of the same cluster, with the same users. */
  anotherNode(): Promise<StandIn> {
    return this.sibling(this.tls).start()
  }

  /** The node comes back where it was, with its data, and with another certificate from the same CA. */
  async restartWith(certificate: Parameters<typeof nodeCertificate>[1]): Promise<void> {
    const next = this.sibling(nodeCertificate(this.at, certificate))
    const { port } = this.node
    await this.node.dispose()
    this.node = await next.start(port)
  }

  private sibling(tls: NonNullable<StandInOptions['tls']>): StandIn {
    const { database, access } = this.node
    return new StandIn({ database, tls, users: Object.fromEntries(access.users ?? []) })
  }

  folder(): string {
    this.copies += 1
    const folder = join(this.at, `copy-${this.copies}`)
    mkdirSync(folder)
    writeSqlite(ledgerPath(folder), [onDisk(this.standIn.database)])
    return folder
  }

  open(): EventStore {
    return new EventStoreDbEventStore(this.url, { stream: STREAM })
  }

  async dispose(): Promise<void> {
    await this.standIn.dispose()
    rmSync(this.at, { recursive: true })
  }
}

/** The ledger as the node has it, whatever it shows of it, and whatever is wrong with the way to it. */
export function onDisk(database: Database): Stored[] {
  return database.events(STREAM).map(({ id, revision, type, contentType, data, metadata }) =>
    toStored({
      ...{ id, type, revision: BigInt(revision), isJson: contentType === 'application/json' },
      ...{ data: jsonOr(data), metadata: jsonOr(metadata) },
    }),
  )
}

/** Parsed where it is JSON, as a string where it is not: as the client gives it. */
function jsonOr(bytes: Uint8Array): unknown {
  const text = Buffer.from(bytes).toString()
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
