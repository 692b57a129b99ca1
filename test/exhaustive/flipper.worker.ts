// Flips every bit of every proof of one kind and size, one task after the other: see main.ts.

import { parentPort } from 'node:worker_threads'

import { flipBits, type Kind } from './bit-flips.js'

const EVERY_BIT = Array.from({ length: 256 }, (_, bit) => bit)

parentPort?.on('message', ({ kind, size }: { kind: Kind; size: number }) => {
  parentPort?.postMessage(flipBits(kind, size, () => EVERY_BIT))
})
