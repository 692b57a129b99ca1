// What the process is given by its surroundings, and must live with: signals, a log that takes nothing, a sandbox.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

import { afterEach, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { type Disk, mountedDisk } from '../support/full-disk.js'
import { until } from '../support/until.js'
import { ledgerPath, verdictOn } from '../support/verified-ledger.js'

let broker: BrokerProcess
afterEach(() => broker.dispose())

async function mintStatus(): Promise<number> {
  const { session } = await broker.session()
  return (await broker.post('/v1/mint-oidc-jwt', session)).status
}

async function lastMetric(name: string): Promise<number> {
  const text = await (await fetch(`${broker.url}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
}

async function endsWell(): Promise<void> {
  expect(await broker.stop()).toBe(0)
  expect((await verdictOn(ledgerPath(broker.dataDir))).findings).toEqual([])
}

test('SIGHUP, SIGUSR1 and SIGUSR2 are logged and have no effect: no end, no debugger', async () => {
  broker = await BrokerProcess.start()
  for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) {
    process.kill(broker.pid, signal)
    await until(() => broker.log.includes(`"signal":"${signal}"`))
    expect(await mintStatus()).toBe(200)
  }
  // Node says so on stderr, and only then is there something to connect to.
  expect(broker.log).not.toMatch(/debugger listening/i)
  await endsWell()
})

test('a log without space (/dev/full) costs log lines, which are counted, and nothing else', async () => {
  broker = await BrokerProcess.spawn({ under: ['sh', '-c', 'exec "$@" 2>/dev/full', 'sh'] })
  await until(async () => (await fetch(`${broker.url}/readyz`).catch(() => undefined))?.status === 200)
  expect(await mintStatus()).toBe(200)
  await until(async () => (await lastMetric('agentkeys_log_lines_lost')) > 0)
  await endsWell()
})

const whereMounted = mountedDisk ? test : test.skip
whereMounted(
  'a log on a tmpfs that becomes full costs its lines: it mints, stops in order, and lets go of port and lock',
  async () => {
    const disk = (mountedDisk as Disk).folder()
    try {
      const log = join(disk.path, 'broker.log')
      const under = ['sh', '-c', 'log=$1; shift; exec "$@" >>"$log" 2>&1', 'sh', log]
      broker = await BrokerProcess.spawn({ under, env: { BROKER_LOG: 'debug' } })
      await until(() => existsSync(log) && readFileSync(log, 'utf8').includes('broker listening on'))
      disk.fill()
      const full = statSync(log).size
      await until(async () => {
        expect(await mintStatus()).toBe(200)
        return (await lastMetric('agentkeys_log_lines_lost')) > 0
      })
      expect(statSync(log).size - full).toBeLessThan(4096)
      expect(await broker.stop()).toBe(0)

      // The same port and the same data dir, with space again.
      disk.free()
      broker = await broker.restart({ under: [] })
      expect(await mintStatus()).toBe(200)
      await endsWell()
    } finally {
      disk.remove()
    }
  },
)

test("the read models' thread goes on where it may not set its priority", async () => {
  // From 19 any other priority is a raise, and that takes a right which root would have.
  const unprivileged = process.getuid?.() === 0 ? ['setpriv', '--bounding-set', '-sys_nice', '--'] : []
  broker = await BrokerProcess.start({ under: ['nice', '-n', '19', ...unprivileged] })
  expect(await mintStatus()).toBe(200)
  await broker.becomesReady()
  expect(new Set(niceOfThreads(broker.pid))).toEqual(new Set([19]))
  await endsWell()
})

/** Field 19 of /proc/PID/task/TID/stat; the name before it may hold spaces. */
function niceOfThreads(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16])
  })
}
