// How long the command line takes to start, beside Node itself: help, and credentials from the cache and the daemon.
// And how long the daemon lets the SDKs of 200 clients wait.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { BrokerProcess, freePorts } from '../broker-process.js'
import { DATA_ROLE_ARN } from '../local-aws/default-account.js'
import { startLocalAws } from '../local-aws/server.js'

import type { Bench } from './bench.js'
import type { LoadResult } from './load.js'
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

export interface Clients {
  starts: StartTime[]
  daemon: LoadResult
}

/** 200 connections of SDKs, each of which asks five times a second. */
const CONNECTIONS = 200
const ASKS_PER_SECOND = 1_000
const DAEMON_P99_MS = 20

export async function measureClients(bench: Bench, rounds: number): Promise<Clients> {
  const ports = await freePorts()
  const aws = await startLocalAws({ issuer: `http://127.0.0.1:${ports[0]}` })
  const env = { BROKER_DATA_ROLE_ARN: DATA_ROLE_ARN, AWS_ENDPOINT_URL_STS: aws.url }
  const broker = BrokerProcess.spawn({ dataDir: bench.path('client-broker'), ports, env })
  try {
    await broker.ready()
    return await measured(bench, rounds, {
      PATH: process.env['PATH'],
      HOME: bench.path('client-home'),
      AGENTKEYS_BROKER_URL: broker.url,
      AGENTKEYS_SESSION_STORE: 'file',
    })
  } finally {
    await broker.stop()
    await aws.close()
  }
}

async function measured(bench: Bench, rounds: number, env: NodeJS.ProcessEnv): Promise<Clients> {
  await timed({ args: [AGENTKEYS, 'init'], env })
  const folder = bench.path('run')
  const beside = { ...env, AGENTKEYS_RUNTIME_DIR: folder }
  const daemon = await startDaemon(beside)
  try {
    bench.progress('starting clients')
    const starts = await clientStarts(rounds, env, beside)
    bench.progress('asking the daemon')
    return { starts, daemon: await askedDaemon(bench, join(folder, 'agent.sock')) }
  } finally {
    daemon.kill('SIGTERM')
  }
}

/** `beside`: the same, where the daemon's socket is in sight. */
async function clientStarts(
  rounds: number,
  env: NodeJS.ProcessEnv,
  beside: NodeJS.ProcessEnv,
): Promise<StartTime[]> {
  const times = await interleaved(rounds, [
    { args: ['-e', '0'], env },
    { args: [AGENTKEYS, '--help'], env },
    { args: [AGENTKEYS, 'credential-process'], env },
    { args: [AGENTKEYS, 'credential-process'], env: beside },
  ])
  const [floorMs = 0, helpMs = 0, cacheMs = 0, daemonMs = 0] = times.map(median)
  const limitMs = FLOOR * floorMs + CREDENTIALS_ADD_MS
  return [
    { name: 'node -e 0', medianMs: floorMs, limitMs: undefined },
    { name: 'agentkeys --help', medianMs: helpMs, limitMs: FLOOR * floorMs + HELP_ADDS_MS },
    { name: 'credential-process, cache', medianMs: cacheMs, limitMs },
    { name: 'credential-process, daemon', medianMs: daemonMs, limitMs },
  ]
}

function askedDaemon(bench: Bench, socketPath: string): Promise<LoadResult> {
  return bench.load.ask({
    port: 0,
    socketPath,
    path: '/aws/credentials?n=',
    below: 1,
    bearers: Array.from({ length: CONNECTIONS }, () => ''),
    seconds: 5,
    perSecond: ASKS_PER_SECOND,
  })
}

interface Line {
  args: readonly string[]
  env: NodeJS.ProcessEnv
}

/** One of each in turn, so that what else the machine does falls on all of them. The first round only warms up. */
async function interleaved(rounds: number, lines: readonly Line[]): Promise<number[][]> {
  for (const line of lines) await timed(line)
  const times = lines.map((): number[] => [])
  for (let round = 0; round < rounds; round += 1)
    for (const [at, line] of lines.entries()) times[at]?.push(await timed(line))
  return times
}

/** Not spawnSync: the stand-in for AWS answers in this process. */
async function timed({ args, env }: Line): Promise<number> {
  const begin = performance.now()
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`${args.slice(1).join(' ')} ended with ${code}`)
  return performance.now() - begin
}

async function startDaemon(env: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const daemon = spawn(process.execPath, [DAEMON], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  await Promise.race([once(daemon.stderr, 'data'), once(daemon, 'exit')])
  if (daemon.exitCode !== null) throw new Error(`agentkeys-daemon ended with ${daemon.exitCode}`)
  return daemon
}

export function clientsText({ starts, daemon }: Clients): string {
  const rows = starts.map(({ name, medianMs, limitMs }) => textRow(name, medianMs, limitMs))
  const asked = `daemon, p99 of ${CONNECTIONS} connections`
  return [...rows, textRow(asked, daemon.p99Ms, DAEMON_P99_MS)].join('')
}

function textRow(name: string, ms: number, limitMs: number | undefined): string {
  const limit = limitMs === undefined ? '' : `  ${ms <= limitMs ? 'within' : 'OVER'} ${limitMs.toFixed(0)} ms`
  return `${name.padEnd(36)} ${ms.toFixed(0).padStart(5)} ms${limit}\n`
}
