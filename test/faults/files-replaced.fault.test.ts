// Files that are taken away from under a running broker: what it would write from then on ends in no file with a name.

import { renameSync } from 'node:fs'
import { join } from 'node:path'

import { afterEach, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { type MintReply, Received } from '../support/received.js'
import { until } from '../support/until.js'
import { verifiedLedger } from '../support/verified-ledger.js'

let broker: BrokerProcess
afterEach(() => broker.dispose())

test.each(['ledger.sqlite', 'ledger.sqlite-wal', 'lock'])(
  'with %s moved away nothing is minted, /readyz and one error line say why, and a restart with it goes on',
  async (name) => {
    broker = await BrokerProcess.start()
    const received = new Received()
    const { session } = await broker.session()
    const mint = async () => {
      const reply: MintReply = await broker.post('/v1/mint-oidc-jwt', session)
      received.note(reply)
      return reply
    }
    expect(await mint()).toMatchObject({ status: 200 })

    const path = join(broker.dataDir, name)
    renameSync(path, `${path}.moved`)
    for (let turn = 0; turn < 3; turn += 1) expect(await mint()).toMatchObject({ status: 500 })
    const reason = new RegExp(`${path} was removed, moved or replaced`)
    let said = ''
    await until(
      async () => {
        const { status, body } = await broker.get<{ problems?: string[] }>('/readyz')
        said = `${status} ${JSON.stringify(body.problems)}`
        return status === 503 && reason.test(said)
      },
      () => `/readyz says ${said}`,
    )
    const errors = broker.log.split('\n').filter((line) => line.includes('"level":"error"'))
    expect(errors.filter((line) => reason.test(line) && line.includes('start'))).toHaveLength(1)

    await broker.stop('SIGKILL')
    renameSync(`${path}.moved`, path)
    broker = await broker.restart()
    expect(await mint()).toMatchObject({ status: 200 })
    expect(received.unexplainedBy(await verifiedLedger(broker.dataDir))).toEqual([])
  },
)
