// What a start says, to the person who started it.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import Sqlite from 'better-sqlite3'

import { BrokerProcess } from '../support/broker-process.js'
import { freePort } from '../support/free-port.js'
import { refusedStart } from '../support/refused-start.js'
import { runSubcommand } from '../support/subcommand.js'
import { ledgerPath, verifiedLedger } from '../support/verified-ledger.js'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'start-messages-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

test('a witness policy that cannot be used is refused before anything is made', async () => {
  const [dataDir, policy] = [join(folder, 'unmade'), join(folder, 'policy')]
  writeFileSync(policy, 'quorum none\n')
  const { code, reason } = await refusedStart({ dataDir, env: { BROKER_WITNESS_POLICY: policy } })
  expect([code, reason]).toEqual([1, expect.stringContaining('it names no witness')])
  expect(existsSync(dataDir)).toBe(false)
})

test('a failed STS check in web-identity mode names no credentials, and no refusal shows a stack', async () => {
  const sts = `http://127.0.0.1:${await freePort()}`
  const broker = await BrokerProcess.spawn({
    dataDir: join(folder, 'no-sts'),
    env: {
      AWS_ENDPOINT_URL_STS: sts,
      BROKER_DATA_ROLE_ARN: 'arn:aws:iam::111122223333:role/agentkeys-data-role',
    },
  })
  expect(await broker.exited()).toBe(1)
  expect(broker.log).toMatch(/refusing to start: .*check BROKER_AWS_REGION/)
  expect(broker.log).not.toMatch(/AWS_PROFILE|static keys|\.js:\d+/)
})

test('wrong flags and wrong variables are listed together', async () => {
  const { code, err } = await runSubcommand(['--port', 'x', '--bind', '*'], { BROKER_LOG: 'loud' })
  expect(code).toBe(2)
  expect(err).toMatch(/error: BROKER_LOG="loud"[^]*--port "x"[^]*--bind "\*"/)
})

test('a start says that a loopback ledger is for trying out, and what a ledger has lost', async () => {
  const dataDir = join(folder, 'used')
  const first = await BrokerProcess.start({ dataDir })
  expect(await first.stop()).toBe(0)
  expect(first.log).toMatch(/this ledger is for trying out: its name for life is 127\.0\.0\.1/)
  expect(first.log).not.toContain('"level":"warn"')

  rmSync(join(dataDir, 'last-checkpoint'))
  rmSync(join(dataDir, 'audit.sqlite'))
  const db = new Sqlite(ledgerPath(dataDir))
  db.exec('DROP TRIGGER ledger_no_update')
  db.close()
  const second = await first.restart()
  expect(await second.stop()).toBe(0)
  expect(second.log).toMatch(/"level":"warn".*nothing on this machine remembers this ledger/)
  expect(second.log).toMatch(/"level":"warn".*had lost ledger_no_update/)
  await verifiedLedger(dataDir)
})
