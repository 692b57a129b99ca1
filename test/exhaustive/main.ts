// npm run test:exhaustive: every inclusion and consistency proof at every size from 0 to 130, with every bit of every
// hash of it, of the leaf and of the roots flipped in turn. Each flip is a call of the real verifier: hundreds of
// millions of hashes, so it runs on all cores, and beside the test suite, not in it.

import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'

import { type Flipped, type Kind, KINDS, LARGEST } from './bit-flips.js'

interface Task {
  kind: Kind
  size: number
}

/** Derived from the shape of the trees alone, so that nothing is left out unseen. */
const FLIPS = KINDS.reduce((sum, kind) => sum + 256 * hashesOf(kind), 0)

// The longest first: then all cores end at the same time.
const tasks: Task[] = Array.from({ length: LARGEST + 1 }, (_, i) => LARGEST - i).flatMap((size) =>
  KINDS.map((kind) => ({ kind, size })),
)
const total = tasks.length
const done = { tasks: 0, proofs: 0, flips: 0 }
const wrong: string[] = []

await Promise.all(Array.from({ length: availableParallelism() }, () => work()))
if (process.stderr.isTTY) process.stderr.write('\n')
console.log(
  `${done.proofs} proofs, ${done.flips} of ${FLIPS} flips, sizes 0 to ${LARGEST}: ` +
    (wrong.length === 0 ? 'every one was refused' : `${wrong.length} wrong, the first: ${wrong[0]}`),
)
process.exitCode = wrong.length === 0 && done.flips === FLIPS ? 0 : 1

/** One core's share. The first thing that is wrong ends it for all. */
async function work(): Promise<void> {
  const worker = new Worker(new URL('./flipper.worker.js', import.meta.url))
  for (let task = tasks.shift(); task && wrong.length === 0; task = tasks.shift()) {
    const flipped = await answer(worker, task)
    done.tasks += 1
    done.proofs += flipped.proofs
    done.flips += flipped.flips
    wrong.push(...flipped.wrong)
    progress()
  }
  await worker.terminate()
}

function answer(worker: Worker, task: Task): Promise<Flipped> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject)
    worker.once('message', (flipped: Flipped) => {
      worker.off('error', reject)
      resolve(flipped)
    })
    worker.postMessage(task)
  })
}

/** On a terminal all the time, in a log at every tenth. */
function progress(): void {
  const percent = (flips: number) => Math.floor((100 * flips) / FLIPS)
  if (process.stderr.isTTY) process.stderr.write(`\r${percent(done.flips)} % of ${FLIPS} flips`)
  else if (done.tasks % Math.ceil(total / 10) === 0)
    console.error(`${percent(done.flips)} % of ${FLIPS} flips`)
}

function hashesOf(kind: Kind): number {
  let hashes = 0
  for (let size = 0; size <= LARGEST; size++) {
    if (kind === 'inclusion') for (let at = 0; at < size; at++) hashes += pathLength(at, size) + 2
    else
      for (let old = 0; old <= size; old++) hashes += proofLength(old, size) + (old === 0 && size > 0 ? 1 : 2)
  }
  return hashes
}

/** Of PATH(index, D[size]), RFC 6962 section 2.1.1: how deep the leaf lies. */
function pathLength(index: number, size: number): number {
  if (size === 1) return 0
  const left = leftOf(size)
  return 1 + (index < left ? pathLength(index, left) : pathLength(index - left, size - left))
}

/** Of PROOF(oldSize, D[size]), section 2.1.2; `whole`: the old root is known to the verifier. */
function proofLength(oldSize: number, size: number, whole = true): number {
  if (oldSize === 0) return 0
  if (oldSize === size) return whole ? 0 : 1
  const left = leftOf(size)
  return (
    1 +
    (oldSize <= left ? proofLength(oldSize, left, whole) : proofLength(oldSize - left, size - left, false))
  )
}

/** The largest power of two below `size`. */
function leftOf(size: number): number {
  return 2 ** (31 - Math.clz32(size - 1))
}
