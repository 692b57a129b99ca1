// How long the command line takes to start, beside Node itself: help, and credentials from the cache and the daemon.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { BrokerProcess, freePorts } from '../broker-process.js'
import { DATA_ROLE_ARN } from '../local-aws/default-account.js'
import { startLocalAws } from '../local-aws/server.js'

import type { Bench } from './bench.js'
import { median } from './statistics.js'

const AGENTKEYS = fileURLToPath(new URL('../agentkeys/main.js', import.meta.url))
const DAEMON = fileURLToPath(new URL('../agentkeys-daemon/main.js', import.meta.url))

export interface StartTime {
  name: string
  medianMs: number
  /** 1.5 times the floor, and what the command may add; undefined for the floor itself. */
  limitMs: number | undefined
}

const HELP_ADDS_MS = 40
const CREDENTIALS_ADD_MS = 60
const FLOOR = 1.5

export async function measureClientStart(bench: Bench, rounds: number): Promise<StartTime[]> {
  const ports = await freePorts()
  const aws = await startLocalAws({ issuer: `http://127.0.0.1:${ports[0]}` })
  const env = { BROKER_DATA_ROLE_ARN: DATA_ROLE_ARN, AWS_ENDPOINT_URL_STS: aws.url }
  const broker = BrokerProcess.spawn({ dataDir: bench.path('client-broker'), ports, env })
  try {
    await broker.ready()
    const home = bench.path('client-home')
    return await measured(bench, rounds, {
      PATH: process.env['PATH'],
      HOME: home,
      AGENTKEYS_BROKER_URL: broker.url,
      AGENTKEYS_SESSION_STORE: 'file',
    })
  } finally {
    await broker.stop()
    await aws.close()
  }
}

async function measured(bench: Bench, rounds: number, env: NodeJS.ProcessEnv): Promise<StartTime[]> {
  await timed([AGENTKEYS, 'init'], env)
  bench.progress('starting clients')
  const [floor = [], help = [], cached = []] = await interleaved(
    [
      ['-e', '0'],
      [AGENTKEYS, '--help'],
      [AGENTKEYS, 'credential-process'],
    ],
    rounds,
    env,
  )
  const daemon = await startDaemon(env)
  const [held = []] = await interleaved([[AGENTKEYS, 'credential-process']], rounds, env)
  daemon.kill('SIGTERM')
  const floorMs = median(floor)
  const row = (name: string, times: number[], addsMs: number) => ({
    name,
    medianMs: median(times),
    limitMs: FLOOR * floorMs + addsMs,
  })
  return [
    { name: 'node -e 0', medianMs: floorMs, limitMs: undefined },
    row('agentkeys --help', help, HELP_ADDS_MS),
    row('credential-process, cache', cached, CREDENTIALS_ADD_MS),
    row('credential-process, daemon', held, CREDENTIALS_ADD_MS),
  ]
}

/** One of each in turn, so that what else the machine does falls on all of them. The first round only warms up. */
async function interleaved(lines: string[][], rounds: number, env: NodeJS.ProcessEnv): Promise<number[][]> {
  for (const line of lines) await timed(line, env)
  const times = lines.map((): number[] => [])
  for (let round = 0; round < rounds; round += 1)
    for (const [at, line] of lines.entries()) times[at]?.push(await timed(line, env))
  return times
}

/** Not spawnSync: the stand-in for AWS answers in this process. */
async function timed(line: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const begin = performance.now()
  const child = spawn(process.execPath, line, { env, stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`${line.slice(1).join(' ')} ended with ${code}`)
  return performance.now() - begin
}

async function startDaemon(env: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const daemon = spawn(process.execPath, [DAEMON], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  await Promise.race([once(daemon.stderr, 'data'), once(daemon, 'exit')])
  if (daemon.exitCode !== null) throw new Error(`agentkeys-daemon ended with ${daemon.exitCode}`)
  return daemon
}

export function clientStartText(rows: readonly StartTime[]): string {
  return rows
    .map(({ name, medianMs, limitMs }) => {
      const limit =
        limitMs === undefined ? '' : `  ${medianMs <= limitMs ? 'within' : 'OVER'} ${limitMs.toFixed(0)} ms`
      return `${name.padEnd(28)} ${medianMs.toFixed(0).padStart(5)} ms${limit}\n`
    })
    .join('')
}
