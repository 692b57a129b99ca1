// Alert rules, dashboard and docs/monitoring.md, against the metrics of a live broker. Prometheus's own promtool reads them
// all, the expressions of the dashboard too.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { StandInProcess } from '../support/eventstoredb/process.js'
import { until } from '../support/until.js'
import { WitnessedFolder } from '../support/witnessed-broker.js'
import { ROOT, textOf } from './compose-file.js'

const RULES = 'deploy/prometheus/agentkeys-rules.yml'
const DASHBOARD = 'deploy/grafana/agentkeys.json'
const DOCS = 'docs/monitoring.md'

interface Panel {
  id: number
  title: string
  targets: { expr: string }[]
}
const dashboard = JSON.parse(textOf(DASHBOARD)) as { panels: Panel[]; uid: string }

/** A histogram's series are of one metric. */
const namesIn = (text: string) =>
  new Set(
    [...text.matchAll(/\bagentkeys_(?!user_wallet)[a-z0-9_]+/g)].map(([name]) =>
      name.replace(/_(?:bucket|sum|count)$/, ''),
    ),
  )

let text = ''
let live = new Set<string>()
beforeAll(async () => {
  // With EventStoreDB, a witness, a policy and a candidate a broker has every metric that there is.
  const standIn = await StandInProcess.start()
  const folder = await WitnessedFolder.open(1, 1)
  const [policy, candidate] = ['policy-', 'candidate-'].map((prefix) => {
    const path = mkdtempSync(join(tmpdir(), prefix))
    writeFileSync(join(path, 'all.cedar'), '@id("all") permit (principal, action, resource);')
    return path
  }) as [string, string]
  const broker = await BrokerProcess.start({
    dataDir: folder.dataDir,
    env: {
      ...folder.env,
      BROKER_OIDC_ISSUER: 'https://broker.example.com',
      BROKER_LEDGER_URL: standIn.url,
      BROKER_POLICY: policy,
      BROKER_POLICY_CANDIDATE: candidate,
    },
    flags: ['--insecure-ledger'],
  })
  const metrics = async () => (await fetch(`${broker.url}/metrics`)).text()
  const { session } = await broker.session()
  await broker.post('/v1/mint-oidc-jwt', session, { audience: 'https://not-allowed.example.com' })
  await until(async () => /agentkeys_witness_cosigned_timestamp_seconds\{.*\} [1-9]/.test(await metrics()))
  text = await metrics()
  live = new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map((match) => match[1] ?? ''))
  await broker.stop()
  await standIn.end()
  await folder.dispose()
  for (const path of [policy, candidate]) rmSync(path, { recursive: true })
})

test('refusals are counted by reason; key, checkpoint and witness have their times', () => {
  expect(text).toContain('agentkeys_refusals_total{reason="audience-not-allowed"} 1')
  const at = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
  const now = Date.now() / 1000
  for (const name of ['signing_key_activated', 'ledger_checkpoint']) {
    expect(at(`agentkeys_${name}_timestamp_seconds`)).toBeGreaterThan(now - 3600)
    expect(at(`agentkeys_${name}_timestamp_seconds`)).toBeLessThanOrEqual(now)
  }
  expect(text).toMatch(/^agentkeys_witness_ok\{witness="[^"]+"\} 1$/m)
})

test.each([RULES, DASHBOARD, DOCS])('every metric that %s names is one of a live broker', (path) => {
  const named = namesIn(textOf(path))
  expect(named.size).toBeGreaterThan(10)
  expect([...named].filter((name) => !live.has(name))).toEqual([])
})

test('docs/monitoring.md has a section for every alert, and for no other', () => {
  const alerts = [...textOf(RULES).matchAll(/alert: (\w+)/g)].map((match) => match[1])
  const links = [...textOf(RULES).matchAll(/runbook_url: (\S+)/g)].map((match) => match[1])
  expect(links).toEqual(alerts.map((alert) => `${DOCS}#${alert?.toLowerCase()}`))
  const sections = [...textOf(DOCS).matchAll(/^## (Agentkeys\w+)$/gm)].map((match) => match[1])
  expect(sections).toEqual(alerts)
})

test('the panels of the dashboard have ids and titles of their own', () => {
  const { panels } = dashboard
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
  expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length)
  expect(textOf(DASHBOARD)).not.toMatch(/https?:/)
})

if (spawnSync('promtool', ['--version']).status !== 0)
  test.skip('promtool, asked of rules, dashboard and metrics: prometheus is not installed', () => {})
else
  describe('promtool', () => {
    let folder: string
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'promtool-'))
    })
    afterAll(() => rmSync(folder, { recursive: true }))

    const promtool = (args: string[], input?: string) => {
      const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: ROOT, encoding: 'utf8', input })
      return { status, said: `${stdout}${stderr}` }
    }

    test('accepts the rules', () => {
      expect(promtool(['check', 'rules', RULES])).toMatchObject({ status: 0 })
    })

    test.each(['agentkeys-rules.test.yml', 'agentkeys-slow-rules.test.yml'])(
      '%s: each alert when it is due',
      (file) => {
        expect(promtool(['test', 'rules', `deploy/prometheus/${file}`])).toMatchObject({
          status: 0,
          said: expect.stringContaining('SUCCESS') as unknown,
        })
      },
    )

    test('fails a rule test whose expectation is wrong', () => {
      const changed = readFileSync(join(ROOT, 'deploy/prometheus/agentkeys-rules.test.yml'), 'utf8')
        .replace('[agentkeys-rules.yml]', `[${join(ROOT, RULES)}]`)
        .replace('exp_labels: { severity: page, instance: a }', 'exp_labels: { severity: page, instance: z }')
      const path = join(folder, 'rules.test.yml')
      writeFileSync(path, changed)
      expect(promtool(['test', 'rules', path]).status).not.toBe(0)
    })

    test('finds nothing wrong with the metrics of a live broker', () => {
      expect(promtool(['check', 'metrics'], text)).toEqual({ status: 0, said: '' })
    })

    test('parses every expression of the dashboard', () => {
      const rules = dashboard.panels.flatMap(({ id, targets }) =>
        targets.map(({ expr }, i) => ({
          record: `panel:${id}:${i}`,
          expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$instance', '.*'),
        })),
      )
      const path = join(folder, 'dashboard.yml')
      writeFileSync(path, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }))
      expect(promtool(['check', 'rules', path])).toMatchObject({
        status: 0,
        said: expect.stringContaining(`${rules.length} rules found`) as unknown,
      })
    })
  })
