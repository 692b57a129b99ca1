// The host script's command line: what it asks, what it shows and what it refuses, all in dry runs. What it does to a
// machine is in host.int.test.ts.

import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'

import { ROOT } from './compose-file.js'

const SCRIPT = join(ROOT, 'tools/host/setup-broker-host.sh')
const GIVEN = ['--issuer-url', 'https://broker.example.com/', '--account-id', '111122223333']

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'host-script-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

interface Asked {
  script?: string
  input?: string
  path?: string
}

/** Always a dry run: a refusal that is missing must not change this machine. */
function dryRun(args: readonly string[], { script = SCRIPT, input = '', path }: Asked = {}) {
  const env = { ...process.env, ...(path !== undefined && { PATH: path }) }
  const { status, stdout, stderr } = spawnSync('/bin/bash', [script, '--dry-run', ...args], {
    env,
    input,
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

/** A folder for PATH that has no more than the script's first steps need. */
function toolsWithout(packageManager: boolean): string {
  const path = join(folder, 'bin')
  mkdirSync(path)
  for (const name of ['dirname', 'readlink', 'sed', 'grep', ...(packageManager ? ['apt-get'] : ['uname'])]) {
    const found = spawnSync('/bin/bash', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim()
    if (found) symlinkSync(found, join(path, name))
  }
  return path
}

test('--help is the whole command line', () => {
  const { status, stdout } = dryRun(['--help'])
  expect(status).toBe(0)
  for (const option of [
    'issuer-url',
    'without-nginx',
    'with-certbot',
    'non-interactive',
    'uninstall',
    'upgrade',
  ])
    expect(stdout).toContain(`--${option}`)
})

describe('refused, before anything is asked or written', () => {
  test.each<[string, number, string[], RegExp]>([
    ['an unknown option', 2, ['--issuer', 'x'], /unknown option --issuer/],
    ['an option without its value', 2, ['--issuer-url'], /--issuer-url needs a value/],
    ['a bare host as issuer', 1, ['--issuer-url', 'broker.example.com'], /expected an https URL/],
    ['an http issuer', 1, ['--issuer-url', 'http://broker.example.com'], /clouds accept https only/],
    ['an http issuer on loopback', 1, ['--issuer-url', 'http://127.0.0.1:8091'], /clouds accept https only/],
    ['an issuer that could end a line', 1, ['--issuer-url', 'https://a.example;}'], /expected an https URL/],
    [
      'an issuer with a path behind this nginx',
      1,
      [...GIVEN, '--issuer-url', 'https://a.example/b', '--with-nginx'],
      /--without-nginx/,
    ],
    [
      'an unknown credential mode',
      1,
      [...GIVEN, '--cred-mode', 'keys'],
      /expected instance-profile, profile, static or none/,
    ],
    ['an unknown store', 1, [...GIVEN, '--store', 'files'], /expected sqlite or eventstoredb/],
    ['a profile name with a space', 1, [...GIVEN, '--profile-name', 'a b'], /--profile-name/],
    [
      'no issuer and no account',
      1,
      ['--non-interactive'],
      /--issuer-url --account-id missing: .*--interactive/,
    ],
    ['a release that is not there', 1, [...GIVEN, '--release', 'nowhere/x'], /--release: no such file/],
    [
      'an account of two digits, by the broker',
      1,
      [...GIVEN, '--account-id', '12'],
      /the broker refuses .*ACCOUNT_ID="12"/,
    ],
    ['a region, by the broker', 1, [...GIVEN, '--region', 'mars'], /the broker refuses .*REGION="mars"/],
  ])('%s', (_, code, args, reason) => {
    const { status, stdout, stderr } = dryRun(args)
    expect([status, stderr]).toEqual([code, expect.stringMatching(reason)])
    expect(stdout).not.toContain('+++ ')
  })

  test('an upgrade of what was never installed', () => {
    if (existsSync('/etc/agentkeys/host.env')) return
    expect(dryRun(['--upgrade']).stderr).toMatch(/there is nothing to upgrade/)
  })

  test('a script that was taken out of its package', () => {
    cpSync(join(ROOT, 'tools/host'), join(folder, 'tools/host'), { recursive: true })
    const { status, stderr } = dryRun(GIVEN, { script: join(folder, 'tools/host/setup-broker-host.sh') })
    expect([status, stderr]).toEqual([1, expect.stringContaining('run the script from inside one')])
  })

  test('a machine without a package manager, and one that is no Linux', () => {
    const path = toolsWithout(false)
    expect(dryRun(GIVEN, { path }).stderr).toMatch(/neither apt-get nor dnf/)
    rmSync(path, { recursive: true })
    const other = toolsWithout(true)
    writeFileSync(join(other, 'uname'), '#!/bin/sh\necho Darwin\n', { mode: 0o755 })
    expect(dryRun(GIVEN, { path: other }).stderr).toMatch(/this is Darwin; the host has to be Linux/)
  })
})

test('a dry run shows each file as a diff, and writes none', () => {
  const { status, stdout } = dryRun([
    ...GIVEN,
    '--cred-mode',
    'static',
    '--with-nginx',
    '--store',
    'eventstoredb',
  ])
  expect(status).toBe(0)
  const shown = [...stdout.matchAll(/^\+\+\+ (\S+) \(new\)$/gm)].map((match) => match[1] ?? '')
  expect(shown).toEqual([
    '/etc/agentkeys/host.env',
    '/etc/agentkeys/broker.env',
    '/etc/agentkeys/ledger.env',
    '/etc/systemd/system/agentkeys-broker.service',
    '/etc/systemd/system/agentkeys-broker.service.d/eventstoredb.conf',
    '/etc/nginx/sites-available/agentkeys-broker',
  ])
  expect(stdout).toContain('+BROKER_OIDC_ISSUER=https://broker.example.com\n')
})

describe('on a terminal', () => {
  test('every question comes after what it means, and Enter takes the default', () => {
    const answers = ['https://broker.example.com/', '111122223333', '', '2', '', '', 'no']
    const { status, stdout } = dryRun(['--interactive'], { input: `${answers.join('\n')}\n` })
    expect(status).toBe(0)
    const order = [
      /compare it byte for byte/,
      /whose role agentkeys-data-role/,
      /region whose STS/,
      /1\) instance-profile/,
      /The profile of/,
      /nginx ends TLS/,
      /certbot gets the certificate/,
    ].map((text) => stdout.search(text))
    expect(order).toEqual([...order].sort((a, b) => a - b))
    expect(order).not.toContain(-1)
    expect(stdout).toMatch(/Credentials: {2}profile \(agentkeys-daemon\)\n.*\nnginx: {8}yes, certbot: no/)
    expect(stdout).toContain('+AWS_PROFILE=agentkeys-daemon\n')
  })

  test('an answer is refused as an option is', () => {
    const { status, stderr } = dryRun(['--interactive'], { input: 'http://broker.example.com\n' })
    expect([status, stderr]).toEqual([1, expect.stringContaining('clouds accept https only')])
  })
})

const SCRIPTS = ['tools/host', 'scripts', 'harness', 'deploy'].flatMap((name) =>
  readdirSync(join(ROOT, name))
    .filter((file) => file.endsWith('.sh'))
    .map((file) => join(name, file)),
)

if (spawnSync('shellcheck', ['--version']).status !== 0)
  test.skip('shellcheck of the scripts: it is not installed', () => {})
else
  test('shellcheck has nothing to say about any script', () => {
    const { status, stdout } = spawnSync('shellcheck', ['-x', ...SCRIPTS], { cwd: ROOT, encoding: 'utf8' })
    expect([status, stdout]).toEqual([0, ''])
  })
