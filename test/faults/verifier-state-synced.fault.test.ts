// The memory of verify-ledger on a disk whose syncs fail: it costs the memory, never the verdict, and never the older memory.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { DiskImage } from '../support/disk-image.js'
import { ledgerOf, VKEY } from '../support/ledger-builder.js'
import { PROJECT, run } from '../support/installed-package.js'
import { writeTiles } from '../support/tile-writer.js'

const VERIFIER = join(PROJECT, 'dist/tools/verify-ledger/main.js')

let disk: DiskImage
let log: string
beforeEach(() => {
  disk = new DiskImage()
  log = join(disk.path, 'log')
})
afterEach(() => disk.remove())

const state = () => join(disk.path, 'state.json')

async function verified(size: number): Promise<string> {
  execFileSync('rm', ['-rf', log])
  writeTiles(log, ledgerOf(size))
  const args = [VERIFIER, log, '--vkey', VKEY, '--state', state()]
  const { code, stdout, stderr } = await run(process.execPath, args, disk.path, disk.env)
  expect([code, stdout]).toEqual([0, expect.stringContaining(`VERIFIED`)])
  expect(stdout).toContain(`${size} entries`)
  return stdout + stderr
}

test('a state that cannot be synced is said beside the verdict, and the one before stays', async () => {
  disk.failSyncs('state.json')
  expect(await verified(300)).toMatch(/state\.json cannot be synced \(EIO\).*see that its disk works/s)
  expect(readdirSync(disk.path)).toEqual(['log'])

  disk.heal()
  expect(await verified(300)).not.toContain('synced')
  const kept = readFileSync(state())
  disk.failSyncs('state.json')
  expect(await verified(600)).toContain('cannot be synced (EIO)')
  expect(readFileSync(state())).toEqual(kept)

  disk.cutPower()
  expect(readFileSync(state())).toEqual(kept)
  disk.heal()
  expect(await verified(600)).not.toContain('synced')
  expect(readFileSync(state())).not.toEqual(kept)
})
