// docs/developer.md, relying parties other than AWS: its Python as it stands there, with Debian's PyJWT and Authlib.

import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { afterAll, beforeAll, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const AUDIENCE = 'https://api.example.com'
/** Debian's, which has the packages: another Python may come first in the path. */
const PYTHON = '/usr/bin/python3'

let broker: BrokerProcess
let folder: string
let wallet: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'relying-party-'))
  const env = { BROKER_ALLOWED_AUDIENCES: `${AUDIENCE},https://other.example.com` }
  broker = await BrokerProcess.start({ env })
})
afterAll(async () => {
  await verifiedLedger(broker.dataDir)
  await broker.dispose()
  rmSync(folder, { recursive: true })
})

async function tokenFor(audience: string): Promise<void> {
  const caller = await broker.session()
  wallet = caller.wallet
  const { body } = await broker.post<{ jwt: string }>('/v1/mint-oidc-jwt', caller.session, { audience })
  writeFileSync(join(folder, 'token.jwt'), body.jwt)
}

function documented(library: string): string {
  const text = readFileSync('docs/developer.md', 'utf8')
  const blocks = [...text.matchAll(/```python\n(.*?)```/gs)].map(([, block = '']) => block)
  const block = blocks.find((one) => one.includes(library)) ?? ''
  return block.replaceAll('https://broker.example.com', broker.url)
}

async function run(library: string): Promise<string> {
  const { stdout } = await promisify(execFile)(PYTHON, ['-c', documented(library)], { cwd: folder })
  return stdout
}

test.each([['import jwt'], ['from authlib']])(
  'a program with "%s" takes a token for it, and none for another',
  async (library) => {
    await tokenFor(AUDIENCE)
    expect(await run(library)).toBe(`agentkeys:agent:${wallet}\n`)
    await tokenFor('https://other.example.com')
    await expect(run(library)).rejects.toMatchObject({ code: 1, stderr: expect.stringMatching(/aud/i) })
  },
)
