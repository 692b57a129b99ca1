// docs/operator.md, "Backup and restore": the commands as they stand there, on a broker under load.

import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import Sqlite from 'better-sqlite3'

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

const mint = async (broker: BrokerProcess, bearer: string) =>
  expect((await broker.post('/v1/mint-oidc-jwt', bearer)).status).toBe(200)

const entriesOf = (path: string) => {
  const file = new Sqlite(path, { readonly: true })
  const entries = file.prepare('SELECT entry FROM ledger ORDER BY idx').pluck().all() as string[]
  file.close()
  return entries
}

test('each way back, as it is documented: under load, without loss, with a mirror, from a snapshot, and to a new ledger', async () => {
  const broker = await BrokerProcess.start({ dataDir: join(folder, 'data') })
  const { dataDir } = broker
  const ledger = ledgerPath(dataDir)
  const { session } = await broker.session()
  let [minted, stopped] = [0, false]
  const load = (async () => {
    for (; !stopped; minted += 1) await mint(broker, session)
  })()
  const [backup = '', restore = '', bring = ''] = documented(dataDir)
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
  // A restore beside a running broker would take its file away from it.
  await expect(run(restore)).rejects.toMatchObject({
    stderr: expect.stringContaining('another broker is running'),
  })

  await mint(broker, session)
  await run(`agentkeys-broker export-tiles ${join(folder, 'stale')}`)
  await mint(broker, session)
  expect(await broker.stop()).toBe(0)
  await verifiedLedger(dataDir)
  await run(`agentkeys-broker export-tiles ${join(folder, 'backup/mirror')}`)
  await run(`cp -a ${dataDir} ${join(folder, 'snapshot')}`)
  const before = entriesOf(ledger)
  const copied = entriesOf(join(copies, 'ledger.sqlite')).length

  // The ledger here is whole: there is nothing to be gained.
  await expect(run(restore)).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^\d+ of the entries that are here.*would be lost/m),
  })
  writeFileSync(ledger, 'damaged')
  for (const suffix of ['-wal', '-shm']) rmSync(ledger + suffix, { force: true })
  const missing = `${before.length - copied} entries that were signed here are missing in the backup`
  await expect(run(restore)).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining(missing) })
  expect(readFileSync(ledger, 'utf8')).toBe('damaged')

  await run(bring.split('\n', 1)[0] as string)
  const { code, reason } = await refusedStart({ ...broker.options })
  expect([code, reason]).toEqual([1, expect.stringMatching(/entries.*(?:missing|older copy)/)])
  await expect(run(`agentkeys-broker import ${join(folder, 'stale')}`)).rejects.toMatchObject({
    ...{ code: 1, stderr: expect.stringContaining('it lacks the last') },
  })
  expect(entriesOf(ledger).length).toBe(copied)
  expect(await run(bring.split('\n')[1] as string)).toContain(`${before.length - copied} missing entries`)
  expect(entriesOf(ledger)).toEqual(before)
  expect(statSync(ledger).mode & 0o777).toBe(0o600)
  expect(readdirSync(dataDir).filter((name) => name.startsWith('import'))).toEqual([])

  const restored = await broker.restart()
  await mint(restored, session)
  expect(await restored.stop()).toBe(0)
  await verifiedLedger(dataDir)

  // Nothing was minted since: the backup is the whole ledger.
  await run(`rm -r ${copies} && ${backup}`)
  const whole = entriesOf(ledger)
  await run(`rm ${ledger}*`)
  expect(await run(restore)).toMatch(/^Nothing is lost: [^]*\nVERIFIED/)
  expect(entriesOf(ledger)).toEqual(whole)

  // The snapshot of the whole folder comes back as a whole.
  await run(`rm -r ${dataDir} && cp -a ${join(folder, 'snapshot')} ${dataDir}`)
  const old = await broker.restart()
  await mint(old, session)
  expect(await old.stop()).toBe(0)
  await verifiedLedger(dataDir)

  // Entries are lost: another ledger, in which sessions and the signing key live on.
  const next = join(folder, 'next')
  mkdirSync(next, { mode: 0o700 })
  await run(`cp -p ${dataDir}/sessions.sqlite* ${dataDir}/oidc-keypair.json ${next}`)
  const another = await BrokerProcess.start({
    ...{ dataDir: next, env: { BROKER_LEDGER_ORIGIN: 'broker.example.com/ledger-2' } },
  })
  await mint(another, session)
  expect(await another.stop()).toBe(0)
  expect((await verifiedLedger(next)).entries[0]?.data).toMatchObject({
    origin: 'broker.example.com/ledger-2',
  })
})
