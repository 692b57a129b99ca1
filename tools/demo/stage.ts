// What the story is played on: a folder of its own, a local AWS, a broker. All of it is gone afterwards, however it ends.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { BrokerProcess, freePorts } from '../broker-process.js'
import { DATA_ROLE_ARN } from '../local-aws/default-account.js'
import { type LocalAws, startLocalAws } from '../local-aws/server.js'
import { type LocalWitness, startLocalWitness } from '../local-witness/server.js'
import { parseVkey } from '../../src/domain/ledger/note.js'
import { loadOrCreateLedgerKey } from '../../src/ledger/key.js'

const ORIGIN = 'demo.invalid/ledger'

/** A port that was free a moment ago may be taken by now. */
const TRIES = 3

export class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), 'agentkeys-demo-'))
  private awsRunning: LocalAws | undefined
  private witnessRunning: LocalWitness | undefined
  private brokerRunning: BrokerProcess | undefined

  /** The broker's log, to find out why a step failed. */
  get logTail(): string {
    return this.brokerRunning?.logTail ?? ''
  }

  get aws(): LocalAws {
    return present(this.awsRunning)
  }

  get witness(): LocalWitness {
    return present(this.witnessRunning)
  }

  /** Whom the broker's mints wait for, and whom an auditor wants to see. */
  get policyPath(): string {
    return this.path('witness-policy')
  }

  get broker(): BrokerProcess {
    return present(this.brokerRunning)
  }

  get ledgerPath(): string {
    return this.path('ledger.sqlite')
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  async open(): Promise<void> {
    for (let left = TRIES - 1; ; left -= 1) {
      try {
        return await this.start()
      } catch (error) {
        await this.awsRunning?.close()
        await this.witnessRunning?.close()
        if (left === 0 || !(error as Error).message.includes('EADDRINUSE')) throw error
      }
    }
  }

  async close(): Promise<void> {
    // Ended, not only signalled: a broker that still runs would write into the folder while it is removed.
    await this.brokerRunning?.stop('SIGKILL')
    await this.awsRunning?.close()
    await this.witnessRunning?.close()
    this.clear()
  }

  /** The last resort, synchronous: what can still be done while the process exits. */
  clear(): void {
    this.brokerRunning?.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** The broker must know where AWS and its witness are, and they whom to trust: so the ports and its ledger's key come first. */
  private async start(): Promise<void> {
    const ports = await freePorts()
    this.awsRunning = await startLocalAws({ issuer: `http://127.0.0.1:${ports[0]}` })
    const { vkey } = loadOrCreateLedgerKey(this.path('ledger-key.json'), ORIGIN)
    this.witnessRunning = await startLocalWitness({
      dir: this.path('witness'),
      logs: [parseVkey(vkey)],
    })
    const witness = `witness local ${this.witnessRunning.vkey} ${this.witnessRunning.url}`
    writeFileSync(this.policyPath, `log ${vkey}\n${witness}\nquorum local\n`)
    const env = {
      BROKER_DATA_ROLE_ARN: DATA_ROLE_ARN,
      AWS_ENDPOINT_URL_STS: this.awsRunning.url,
      BROKER_LEDGER_ORIGIN: ORIGIN,
      BROKER_WITNESS_POLICY: this.policyPath,
      BROKER_RELEASE_REQUIRES: 'witnessed',
    }
    this.brokerRunning = BrokerProcess.spawn({ dataDir: this.folder, ports, env })
    await this.brokerRunning.ready()
  }
}

function present<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('not started yet')
  return part
}
