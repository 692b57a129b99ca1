import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { ledgerOf, writeSqlite } from '../support/ledger-builder.js'
import { dump } from '../support/project.js'

const PROGRAM = fileURLToPath(new URL('../support/project-ledger.js', import.meta.url))
const SIZE = 8_000

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'read-models-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** Runs the program until it has reported `reports` positions and is killed, or to its end. */
async function project(
  readModel: string,
  reports?: number,
): Promise<{ killed: boolean; positions: number[] }> {
  const args = [PROGRAM, join(folder, 'ledger.sqlite'), readModel]
  const child = spawn(process.execPath, [...args, ...(reports === undefined ? [] : [String(reports)])], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit') as Promise<[number | null, string | null]>
  const positions: number[] = []
  for await (const line of createInterface(child.stdout)) positions.push(Number(line))
  const [code, signal] = await exited
  expect([code, signal]).toEqual(signal === null ? [0, null] : [null, 'SIGKILL'])
  return { killed: signal !== null, positions }
}

test('a process killed while it projects, again and again, leaves a model that goes on to be that of a replay', async () => {
  writeSqlite(join(folder, 'ledger.sqlite'), ledgerOf(SIZE))
  await project(join(folder, 'replayed.sqlite'))
  const expected = dump(join(folder, 'replayed.sqlite'))
  expect(expected['position']).toMatchObject([{ size: SIZE }])

  const survivor = join(folder, 'survivor.sqlite')
  let kills = 0
  let reached = 0
  for (let reports = 1; ; reports += 1) {
    const { killed, positions } = await project(survivor, reports)
    // Killed, it starts where rows and position were committed together: never behind what it had reported.
    expect(positions.every((position) => position >= reached)).toBe(true)
    reached = positions.at(-1) ?? reached
    if (!killed) break
    kills += 1
  }
  expect(kills).toBeGreaterThan(1)
  expect(dump(survivor)).toEqual(expected)
})
