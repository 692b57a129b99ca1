// A folder for a broker whose ledger has witnesses: the ledger's key is there before the broker, so that the witnesses
// and the policy can name it.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { signCheckpoint } from '../../src/domain/ledger/checkpoint.js'
import type { TreeHead } from '../../src/domain/ledger/merkle.js'
import { formatVkey, type NoteKey, type Signer } from '../../src/domain/ledger/note.js'
import { loadOrCreateLedgerKey } from '../../src/ledger/key.js'
import { freePort } from './free-port.js'
import { WitnessServer } from './witness-server.js'

const ORIGIN = 'broker.example.com/ledger'

export class WitnessedFolder {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'agentkeys-'))
  readonly alarmPath = join(this.dataDir, 'witness-alarm.json')
  readonly witnesses: WitnessServer[] = []
  private readonly signer: Signer
  private readonly policyPath = join(this.dataDir, 'witness-policy')

  private constructor() {
    this.signer = loadOrCreateLedgerKey(join(this.dataDir, 'ledger-key.json'), ORIGIN).signer
  }

  get log(): NoteKey {
    return this.signer.key
  }

  /** What only the ledger's key can make, of any tree. */
  signed(head: TreeHead): string {
    return signCheckpoint({ origin: ORIGIN, ...head }, this.signer)
  }

  /** With that many witnesses, of which `threshold` are a quorum. */
  static async open(witnesses: number, threshold: number): Promise<WitnessedFolder> {
    const folder = new WitnessedFolder()
    for (let n = 1; n <= witnesses; n += 1) await folder.startWitness(n, await freePort())
    writeFileSync(folder.policyPath, folder.policy(threshold))
    return folder
  }

  /** What a broker in it is given. */
  get env(): Record<string, string> {
    return { BROKER_LEDGER_ORIGIN: ORIGIN, BROKER_WITNESS_POLICY: this.policyPath }
  }

  /** C2SP tlog-policy, as the broker and an auditor read it. */
  policy(threshold: number, witnesses: readonly WitnessServer[] = this.witnesses): string {
    const names = witnesses.map((_, i) => `w${i + 1}`)
    return [
      `log ${formatVkey(this.log)}`,
      ...witnesses.map(({ key, url }, i) => `witness ${names[i]} ${formatVkey(key)} ${url}`),
      `group some-of-them ${threshold} ${names.join(' ')}`,
      'quorum some-of-them',
      '',
    ].join('\n')
  }

  /** No one listens at its address from then on. */
  async stopWitness(n: number): Promise<void> {
    await this.witness(n).close()
  }

  /** The same witness again, with all it knows, at the same address. */
  async restartWitness(n: number): Promise<void> {
    const { latest, shown, port } = this.witness(n)
    await this.startWitness(n, port)
    Object.assign(this.witness(n), { latest, shown })
  }

  witness(n: number): WitnessServer {
    return this.witnesses[n - 1] as WitnessServer
  }

  async dispose(): Promise<void> {
    for (const witness of this.witnesses) await witness.close()
    rmSync(this.dataDir, { recursive: true, force: true })
  }

  private async startWitness(n: number, port: number): Promise<void> {
    const seed = new Uint8Array(32).fill(n)
    const witness = await WitnessServer.start({ name: `witness.example/w${n}`, seed, log: this.log, port })
    this.witnesses[n - 1] = witness
  }
}
