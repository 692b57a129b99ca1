// docs/operator.md, "Backup and restore": the commands as they stand there, on a broker under load.

import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { afterAll, beforeAll, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { refusedStart } from '../support/refused-start.js'
import { ledgerPath, verifiedLedger } from '../support/verified-ledger.js'

const PROJECT = fileURLToPath(new URL('../../..', import.meta.url))
const PROGRAMS = {
  'agentkeys-broker': join(PROJECT, 'dist/src/main.js'),
  'verify-ledger': join(PROJECT, 'dist/tools/verify-ledger/main.js'),
}

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'backup-'))
  for (const name of ['bin', 'backup']) mkdirSync(join(folder, name))
  for (const [name, main] of Object.entries(PROGRAMS)) {
    const program = `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`
    writeFileSync(join(folder, 'bin', name), program, { mode: 0o755 })
  }
})
afterAll(() => rmSync(folder, { recursive: true }))

/** The section's blocks of commands, its paths those of this test. */
function documented(dataDir: string): string[] {
  const text = readFileSync(join(PROJECT, 'docs/operator.md'), 'utf8')
  const [, after = ''] = text.split('\n## Backup and restore\n')
  const [section = ''] = after.split('\n## ')
  const blocks = [...section.matchAll(/```sh\n(.*?)```/gs)].map(([, block = '']) => block)
  return blocks.map((block) =>
    block
      .replaceAll('/var/lib/agentkeys/broker', dataDir)
      .replaceAll('/backup/', `${join(folder, 'backup')}/`),
  )
}

async function run(commands: string): Promise<string> {
  const env = {
    PATH: `${join(folder, 'bin')}:${process.env['PATH']}`,
    HOME: folder,
    BROKER_DATA_DIR: join(folder, 'data'),
  }
  const { stdout } = await promisify(execFile)('bash', ['-euc', commands], { env })
  return stdout
}

test('a copy that is taken under load verifies, is private, and is restored until the next mint', async () => {
  const broker = await BrokerProcess.start({ dataDir: join(folder, 'data') })
  const { session } = await broker.session()
  let [minted, stopped] = [0, false]
  const load = (async () => {
    for (; !stopped; minted += 1) expect((await broker.post('/v1/mint-oidc-jwt', session)).status).toBe(200)
  })()
  const [backup = '', restored = ''] = documented(broker.dataDir)
  try {
    expect(await run(backup)).toMatch(/\nVERIFIED/)
  } finally {
    stopped = true
    await load
  }
  expect(minted).toBeGreaterThan(0)
  const copies = join(folder, 'backup/agentkeys')
  expect(readdirSync(copies).sort()).toEqual(['checkpoint', 'ledger.sqlite', 'sessions.sqlite'])
  expect(statSync(copies).mode & 0o777).toBe(0o700)
  for (const name of readdirSync(copies))
    expect([name, statSync(join(copies, name)).mode & 0o777]).toEqual([name, 0o600])

  const again = run(`agentkeys-broker backup ${copies}`)
  await expect(again).rejects.toMatchObject({ code: 3, stderr: expect.stringContaining('is not empty') })

  await broker.post('/v1/mint-oidc-jwt', session)
  expect(await broker.stop()).toBe(0)
  await verifiedLedger(broker.dataDir)
  expect(await run(restored)).toMatch(/\nVERIFIED/)

  rmSync(ledgerPath(broker.dataDir))
  await run(`cp ${join(copies, 'ledger.sqlite')} ${ledgerPath(broker.dataDir)}`)
  const { code, reason } = await refusedStart({ ...broker.options })
  expect([code, reason]).toEqual([1, expect.stringMatching(/entries.*(?:missing|older copy)/)])
})
