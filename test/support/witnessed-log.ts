import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import {
  parseSignedCheckpoint,
  signCheckpoint,
  type SignedCheckpoint,
} from '../../src/domain/ledger/checkpoint.js'
import { consistencyProof, type TreeHead } from '../../src/domain/ledger/merkle.js'
import { type NoteKey, type Signer, signerFromSeed } from '../../src/domain/ledger/note.js'
import { parsePolicy, type Policy } from '../../src/domain/ledger/policy.js'
import { formatVkey } from '../../src/domain/ledger/note.js'
import { AlarmFile } from '../../src/witness/witness-alarm.js'
import type { OwnLog } from '../../src/witness/witness.js'
import { GrownTree } from './grown-tree.js'
import { testEntry, tlog, unhex } from './tlog-vectors.js'
import { WitnessServer } from './witness-server.js'

const GROWN = 200

/** The log of the published vectors, grown on: what it was at every size, and witnesses for it. */
export class WitnessedLog implements OwnLog {
  readonly dir = mkdtempSync(join(tmpdir(), 'witnessed-'))
  readonly alarmFile = new AlarmFile(join(this.dir, 'witness-alarm.json'))
  readonly witnesses: WitnessServer[] = []
  readonly proofs: [number, number][] = []
  /** Of all that is in the store; what another broker may have brought it to. */
  size = 0
  private readonly tree = new GrownTree(Array.from({ length: GROWN }, (_, i) => testEntry(i)))
  private readonly signer: Signer = signerFromSeed(
    tlog.keys.log.name,
    'ed25519',
    unhex(tlog.keys.log.seedHex),
  )

  get key(): NoteKey {
    return this.signer.key
  }

  /** A tree with the same sizes and none of the entries. */
  static readonly other = new GrownTree(Array.from({ length: GROWN }, (_, i) => testEntry(GROWN + i)))

  head(size: number): TreeHead {
    return this.tree.head(size)
  }

  checkpoint(size: number): SignedCheckpoint {
    this.size = Math.max(size, this.size)
    return parseSignedCheckpoint(this.signed(size))
  }

  /** A checkpoint of any size, whether or not the store has it. */
  signed(size: number): string {
    return signCheckpoint({ origin: this.key.name, ...this.head(size) }, this.signer)
  }

  proof(oldSize: number, newSize: number): Promise<Uint8Array[]> {
    this.proofs.push([oldSize, newSize])
    return Promise.resolve(consistencyProof(oldSize, newSize, this.tree.read))
  }

  newest(): Promise<SignedCheckpoint> {
    return Promise.resolve(this.checkpoint(this.size))
  }

  /** w1, w2, … as in the policy. The first two have the keys of the vectors. */
  async startWitness(port?: number): Promise<WitnessServer> {
    const n = this.witnesses.length + 1
    const known = [tlog.keys.w1, tlog.keys.w2][n - 1]
    const seed = known ? unhex(known.seedHex) : new Uint8Array(32).fill(n)
    const name = known?.name ?? `witness.example/w${n}`
    const server = await WitnessServer.start({
      name,
      seed,
      log: this.key,
      ...(port === undefined ? {} : { port }),
    })
    this.witnesses.push(server)
    return server
  }

  /** Of all witnesses started so far; `threshold` of them, or none. */
  policy(threshold: string): Policy {
    const names = this.witnesses.map((_, i) => `w${i + 1}`)
    return parsePolicy(
      [
        `log ${formatVkey(this.key)}`,
        ...this.witnesses.map(({ key, url }, i) => `witness ${names[i]} ${formatVkey(key)} ${url}`),
        ...(threshold === 'none' ? [] : [`group all-of-them ${threshold} ${names.join(' ')}`]),
        `quorum ${threshold === 'none' ? 'none' : 'all-of-them'}`,
        '',
      ].join('\n'),
    )
  }

  async close(): Promise<void> {
    for (const witness of this.witnesses) await witness.close()
    rmSync(this.dir, { recursive: true, force: true })
  }
}
