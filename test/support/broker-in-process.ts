// The whole broker in this process, on a real socket, with the store and the limits a test puts under it.

import type { AddressInfo } from 'node:net'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { AppModule } from '../../src/app.module.js'
import { openBroker, type Parts } from '../../src/start/broker.js'
import { readConfig } from '../../src/config.js'
import { createServer } from '../../src/http/server.js'
import { openLog } from '../../src/logging.js'
import { PRODUCTION } from '../../src/start/open-ledger-stack.js'
import type { Dependencies } from '../../src/start/opening.js'
import { VERSION } from '../../src/version.js'
import type { MintReply } from './received.js'

export interface BrokerInProcess {
  url: string
  dataDir: string
  parts: Parts
  mint(path: string, bearer: string, body?: object): Promise<MintReply>
  close(): Promise<void>
}

export async function startInProcess(
  port: number,
  env: Record<string, string>,
  seams: Partial<Dependencies> = {},
): Promise<BrokerInProcess> {
  const dataDir = mkdtempSync(join(tmpdir(), 'agentkeys-'))
  const reading = readConfig(
    { HOME: dataDir, BROKER_DATA_DIR: dataDir, ...env },
    { port, bind: '127.0.0.1', skipStartupCheck: true, insecureLedger: false },
  )
  if (!('config' in reading)) throw new Error(reading.problems.join('\n'))
  const log = openLog('silent')
  const broker = await openBroker(reading.config, log, { ...PRODUCTION, ...seams })
  const app = await createServer(AppModule.of(broker.parts), log, VERSION)
  await app.listen(port, '127.0.0.1')
  const url = `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}`
  return {
    url,
    dataDir,
    parts: broker.parts,
    mint: (path, bearer, body) => mint(url + path, bearer, body),
    close: async () => {
      await app.close()
      await broker.close()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

async function mint(url: string, bearer: string, body: object = {}): Promise<MintReply> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const { status, headers } = response
  return { status, headers, body: (await response.json()) as MintReply['body'] }
}
