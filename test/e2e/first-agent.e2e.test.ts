// docs/developer.md, "A working agent in five minutes": its commands and programs as they stand there, on free ports.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { afterAll, beforeAll, expect, test } from '@jest/globals'

import { freePort } from '../support/free-port.js'
import { until } from '../support/until.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const PROJECT = fileURLToPath(new URL('../../..', import.meta.url))
const DIST = fileURLToPath(new URL('../..', import.meta.url))

let home: string
/** Below the project, whose packages the agent in Node imports. */
let agents: string
let replaced: [string, string][]
let brokerUrl: string
const running: ChildProcess[] = []
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'first-agent-'))
  agents = mkdtempSync(join(DIST, 'first-agent-'))
  const [broker, sessions, sts] = [await freePort(), await freePort(), await freePort()]
  brokerUrl = `http://127.0.0.1:${broker}`
  replaced = [
    ['npm ci && npm run build\n', ''],
    [
      'npm start\n',
      `export BROKER_SESSION_BIND=127.0.0.1:${sessions}\nexec node dist/src/main.js --port ${broker}\n`,
    ],
    [
      'node dist/tools/local-aws/main.js\n',
      `exec node dist/tools/local-aws/main.js --port ${sts} --issuer http://127.0.0.1:${broker}\n`,
    ],
    ['-- node agent.mjs', `-- node ${join(agents, 'agent.mjs')}`],
    ['-- python3 agent.py', `-- python3 ${join(agents, 'agent.py')}`],
    ['127.0.0.1:8091', `127.0.0.1:${broker}`],
    ['127.0.0.1:8093', `127.0.0.1:${sts}`],
  ]
})
afterAll(async () => {
  for (const child of running) {
    child.kill('SIGTERM')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'close')
  }
  await verifiedLedger(join(home, '.agentkeys', 'broker'))
  for (const folder of [home, agents]) rmSync(folder, { recursive: true })
})

interface Block {
  language: string
  text: string
}

function documented(): Block[] {
  const page = readFileSync(join(PROJECT, 'docs/developer.md'), 'utf8')
  const [, after = ''] = page.split('\n## A working agent in five minutes\n')
  const [section = ''] = after.split('\n## ')
  return [...section.matchAll(/```(\w+)\n(.*?)```/gs)].map(([, language = '', block = '']) => ({
    language,
    text: replaced.reduce((text, [from, to]) => text.replaceAll(from, to), block),
  }))
}

/** As in a terminal, where aliases are expanded. */
const bash = (commands: string) => ['-c', `shopt -s expand_aliases\n${commands}`]
const terminal = () => ({ cwd: PROJECT, env: { PATH: process.env['PATH'], HOME: home } })

function start(commands: string): void {
  running.push(spawn('bash', bash(commands), { ...terminal(), stdio: 'ignore' }))
}

/** `# agent.py` and the like: the first line of a program is its name. */
function save({ text }: Block): void {
  const [, name = ''] = /^(?:\/\/|#) (\S+)\n/.exec(text) ?? []
  writeFileSync(join(agents, name), text)
}

const isReady = async () => {
  const reply = await fetch(`${brokerUrl}/readyz`).catch(() => undefined)
  return reply?.status === 200
}

const hasBoto3 = () =>
  promisify(execFile)('python3', ['-c', 'import boto3']).then(
    () => true,
    () => false,
  )

test('an agent in Node and one in Python are the wallet that init made', async () => {
  const blocks = documented()
  const commands = blocks.filter(({ language }) => language === 'sh').map(({ text }) => text)
  const programs = blocks.filter(({ language }) => language !== 'sh')
  expect(programs.map(({ language }) => language)).toEqual(['js', 'py'])
  programs.forEach(save)
  const [aws = '', broker = '', ...third] = commands
  start(aws)
  start(broker)
  await until(isReady, () => 'the broker is not ready')
  const tried = (await hasBoto3()) ? third : third.filter((text) => !text.includes('python3'))
  const { stdout } = await promisify(execFile)('bash', bash(tried.join('\n')), terminal())
  const arn = /^arn:aws:sts::111122223333:assumed-role\/agentkeys-data-role\/ak-[0-9a-f-]+$/gm
  expect([stdout.match(arn)?.length, third.length]).toEqual([tried.length - 1, 3])
  expect(stdout).toContain('Initialized. Wallet: 0x')
})
