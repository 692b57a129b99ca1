// Several broker processes on one EventStoreDB stand-in: one issuer, one OIDC key file, one ledger key file, and a data
// directory for each.

import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Sealed } from '../../src/domain/ledger/entry.js'
import { ProtocolChecker } from '../../src/domain/ledger/protocol-rules.js'
import { linked } from '../../src/ledger/open-ledger.js'
import { loadOrCreateSigningKey, settleSigningKey } from '../../src/oidc/key-file.js'
import { BrokerProcess } from './broker-process.js'
import { openStore, readAll } from './eventstoredb/ledger.js'
import { StandInProcess } from './eventstoredb/process.js'

const ISSUER = 'https://broker.example.com'

export class SharedBrokers {
  readonly brokers: BrokerProcess[] = []
  readonly keys = mkdtempSync(join(tmpdir(), 'agentkeys-keys-'))

  private constructor(readonly standIn: StandInProcess) {}

  static async open(): Promise<SharedBrokers> {
    return new SharedBrokers(await StandInProcess.start())
  }

  /**
   * One more broker. `ownKey`: with an OIDC key file that the others do not have. `url`: its own way to the ledger. `more`:
   * variables of its own, or in the place of those all have.
   */
  async add({
    ownKey = false,
    url = this.standIn.url,
    more = {},
  }: { ownKey?: boolean; url?: string; more?: Record<string, string> } = {}): Promise<BrokerProcess> {
    const dataDir = mkdtempSync(join(tmpdir(), 'agentkeys-'))
    if (ownKey) makeKey(join(dataDir, 'oidc-keypair.json'))
    const env: Record<string, string> = {
      BROKER_OIDC_ISSUER: ISSUER,
      BROKER_LEDGER_URL: url,
      BROKER_LEDGER_KEY_PATH: this.copied('ledger-key.json', dataDir),
      BROKER_OIDC_KEYPAIR_PATH: ownKey
        ? join(dataDir, 'oidc-keypair.json')
        : this.copied('oidc-keypair.json', dataDir),
      BROKER_ALLOWED_AUDIENCES: 'api.example.com',
      BROKER_LOG: 'info',
      ...more,
    }
    const broker = await BrokerProcess.start({ dataDir, env, flags: ['--insecure-ledger'] })
    for (const name of ['ledger-key.json', 'oidc-keypair.json']) {
      if (ownKey && name.startsWith('oidc')) continue
      copyFileSync(join(dataDir, name), join(this.keys, name))
    }
    this.brokers.push(broker)
    return broker
  }

  /** A copy of the file the others use, where there is one: deployments copy keys, they do not share a disk. */
  private copied(name: string, dataDir: string): string {
    const path = join(dataDir, name)
    try {
      copyFileSync(join(this.keys, name), path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
    return path
  }

  /** The whole ledger, linked entry by entry. Throws where there is a finding of any kind. */
  async verified(): Promise<Sealed[]> {
    const store = openStore(this.standIn.url)
    const entries = linked(undefined, await readAll(store))
    await store.close()
    const findings: unknown[] = []
    const rules = new ProtocolChecker((finding) => findings.push(finding))
    for (const { entry } of entries) rules.take(entry)
    if (findings.length > 0) throw new Error(`the ledger has findings: ${JSON.stringify(findings)}`)
    return entries
  }

  async dispose(): Promise<void> {
    for (const broker of this.brokers) await broker.dispose()
    await this.standIn.end()
    rmSync(this.keys, { recursive: true, force: true })
  }
}

/** As an operator makes one on purpose: it may replace the active key. */
function makeKey(path: string): void {
  settleSigningKey(path, loadOrCreateSigningKey(path))
}
