import { readFileSync } from 'node:fs'

/** Seen from dist/test/support, where this runs. */
const VECTORS = new URL('../../../test/vectors/', import.meta.url)

export function readVectors<T>(file: string): T {
  return JSON.parse(readFileSync(new URL(file, VECTORS), 'utf8')) as T
}

export interface TlogVectors {
  keys: {
    log: { name: string; seedHex: string; pubHex: string; keyId: string; vkey: string; skey: string }
    w1: { name: string; seedHex: string; vkeyCosig: string; vkeySameKeyType1: string }
    w2: { name: string; seedHex: string; vkeyCosig: string }
  }
  hashing: { emptyRoot: string; leafOfEmpty: string; leaf0: string; leaf1: string; node01: string }
  roots: Record<string, string>
  inclusion: { index: number; size: number; proof: string[] }[]
  consistency: { from: number; to: number; proof: string[] }[]
  paths: { level: number; index: number; width: number; tile: string; entries: string }[]
  tilesForSize: Record<string, { level: number; full: number; partial: number }[]>
  tiles: Record<string, string>
  bundles: Record<string, string>
  checkpoints: Record<string, string>
  cosignature: { time: number; message: string; line: string; line2: string }
  mldsa44: { name: string; keyId: string }
  addCheckpoint: { originHash: string; requests: { from: number; to: number; body: string }[] }
  tlogProof: { index3: string; index0Extra: string }
}

/** Computed with plain Node crypto; accepted by golang.org/x/mod/sumdb, torchwood and tessera's fsck. */
export const tlog = readVectors<TlogVectors>('tlog-c2sp.json')

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

export function unhex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'))
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

export function unbase64(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'))
}

/** Leaf i of the vectors' test log. */
export function testEntry(i: number): Uint8Array {
  return new TextEncoder().encode(`entry-${i}`)
}
