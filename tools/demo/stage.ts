// What the story is played on: a folder of its own, a local AWS, a broker. All of it is gone afterwards, however it ends.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { BrokerProcess, freePorts } from '../broker-process.js'
import { DATA_ROLE_ARN } from '../local-aws/default-account.js'
import { type LocalAws, startLocalAws } from '../local-aws/server.js'

/** A port that was free a moment ago may be somebody else's by now. */
const TRIES = 3

export class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), 'agentkeys-demo-'))
  private awsRunning: LocalAws | undefined
  private brokerRunning: BrokerProcess | undefined

  /** Of the broker, for whoever must find out why a step did not hold. */
  get logTail(): string {
    return this.brokerRunning?.logTail ?? ''
  }

  get aws(): LocalAws {
    return present(this.awsRunning)
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
        if (left === 0 || !(error as Error).message.includes('EADDRINUSE')) throw error
      }
    }
  }

  async close(): Promise<void> {
    // Ended, not only told to: a broker that still runs would write into the folder while it is removed.
    await this.brokerRunning?.stop('SIGKILL')
    await this.awsRunning?.close()
    this.clear()
  }

  /** The last resort, synchronous: what can still be done while the process exits. */
  clear(): void {
    this.brokerRunning?.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** The broker must know where AWS is, and AWS whom to trust: so the ports come first. */
  private async start(): Promise<void> {
    const ports = await freePorts()
    this.awsRunning = await startLocalAws({ issuer: `http://127.0.0.1:${ports[0]}` })
    const env = { BROKER_DATA_ROLE_ARN: DATA_ROLE_ARN, AWS_ENDPOINT_URL_STS: this.awsRunning.url }
    this.brokerRunning = BrokerProcess.spawn({ dataDir: this.folder, ports, env })
    await this.brokerRunning.ready()
  }
}

function present<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('not started yet')
  return part
}
