// The gate's own logic, with programs of its own on PATH that pass or fail as a step is meant to.

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { ROOT } from './compose-file.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stage-7-'))
  mkdirSync(join(folder, 'bin'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** npm and npx fail for the command line that has `failing` in it, and pass for all others. */
function gate(failing: string, args: string[] = []) {
  for (const name of ['npm', 'npx'])
    writeFileSync(join(folder, 'bin', name), `#!/bin/sh\ncase "$*" in *'${failing}'*) exit 1 ;; esac\n`, {
      mode: 0o755,
    })
  const env = { ...process.env, PATH: `${join(folder, 'bin')}:${process.env['PATH']}` }
  const { status, stdout } = spawnSync(join(ROOT, 'harness/stage-7-done.sh'), args, { env, encoding: 'utf8' })
  return { status, last: stdout.trimEnd().split('\n').at(-1), stdout }
}

test('all steps hold: the last line is the one of the original', () => {
  expect(gate('no such words')).toMatchObject({ status: 0, last: 'STAGE 7 (phase 1 + phase 2) PASSED' })
})

test.each(['tsc -p', 'src/aws', 'test/e2e/wire', 'test/e2e/client.e2e', 'test/e2e/agentkeys-mcp', 'eslint'])(
  'a step with %s that fails is named, and the gate is closed',
  (failing) => {
    const { status, last } = gate(failing)
    expect([status, last]).toEqual([1, expect.stringMatching(/^STAGE 7: NOT DONE: /)])
  },
)

test('each suite that it runs is there', () => {
  const suites = gate('', ['--list']).stdout.match(/(?:src|test)\/\S+/g) ?? []
  const files = [...filesUnder('src'), ...filesUnder('test/e2e')]
  const missing = suites.filter(
    (suite) => !files.some((file) => file.startsWith(suite) && file.includes('.test.')),
  )
  expect([suites.length > 8, missing]).toEqual([true, []])
})

const filesUnder = (name: string) =>
  readdirSync(join(ROOT, name), { recursive: true, encoding: 'utf8' }).map((file) => join(name, file))
