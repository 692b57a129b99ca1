// README's tour: its commands as they stand there, on free ports and in a home of its own.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { afterAll, beforeAll, expect, test } from '@jest/globals'

import { freePort } from '../support/free-port.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const PROJECT = fileURLToPath(new URL('../../..', import.meta.url))

let home: string
let replaced: [string, string][]
const running: ChildProcess[] = []
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'tour-'))
  const [broker, sessions, sts] = [await freePort(), await freePort(), await freePort()]
  replaced = [
    ['npm run build\n', ''],
    [
      'npm start\n',
      `export BROKER_SESSION_BIND=127.0.0.1:${sessions}\nexec node dist/src/main.js --port ${broker}\n`,
    ],
    [
      'node dist/tools/local-aws/main.js\n',
      `exec node dist/tools/local-aws/main.js --port ${sts} --issuer http://127.0.0.1:${broker}\n`,
    ],
    ['127.0.0.1:8090', `127.0.0.1:${sessions}`],
    ['127.0.0.1:8091', `127.0.0.1:${broker}`],
    ['127.0.0.1:8093', `127.0.0.1:${sts}`],
  ]
})
afterAll(async () => {
  for (const child of running) {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'close')
  }
  rmSync(home, { recursive: true })
})

/** The tour's blocks of commands, in their order. */
function documented(): string[] {
  const text = readFileSync(join(PROJECT, 'README.md'), 'utf8')
  const [, after = ''] = text.split('\n## A tour in five minutes\n')
  const [section = ''] = after.split('\n## ')
  return [...section.matchAll(/```sh\n(.*?)```/gs)].map(([, block = '']) =>
    replaced.reduce((commands, [from, to]) => commands.replaceAll(from, to), block),
  )
}

const terminal = () => ({ cwd: PROJECT, env: { PATH: process.env['PATH'], HOME: home } })

function start(commands: string): ChildProcess {
  const child = spawn('bash', ['-c', commands], { ...terminal(), stdio: 'ignore' })
  running.push(child)
  return child
}

test('every command of the tour works, and what it leaves is in the folder that it names', async () => {
  const before = readdirSync(PROJECT)
  const [aws = '', serving = '', ...third] = documented()
  start(aws)
  const broker = start(serving)
  const { stdout } = await promisify(execFile)('bash', ['-c', third.join('\n')], terminal())
  expect(stdout).toContain('"jti"')
  expect(stdout).toContain('"access_key_id": "')
  expect(stdout).toContain('"refused","role-not-allowed"')
  expect(stdout).toMatch(/\n3\n/)
  expect(stdout.match(/\nVERIFIED/g)).toHaveLength(1)
  expect(stdout).toContain('PROVEN: this JWT')

  broker.kill('SIGTERM')
  await once(broker, 'close')
  await verifiedLedger(join(home, 'agentkeys-tour/data'))
  expect(readdirSync(PROJECT)).toEqual(before)
  expect(existsSync(join(home, '.agentkeys'))).toBe(false)
})
