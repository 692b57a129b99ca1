// The scripts and programs that make what the cluster needs, run as an operator runs them, on a copy of deploy/.

import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { parseAddress } from '../../src/event-store/eventstoredb/address.js'
import { loadOrCreateLedgerKey } from '../../src/ledger/key.js'
import { loadOrCreateSigningKey } from '../../src/oidc/key-file.js'
import { composeFile, envFile, ROOT } from './compose-file.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'deploy-'))
  mkdirSync(join(folder, 'deploy'))
  for (const script of ['make-secrets.sh', 'make-certificates.sh'])
    cpSync(join(ROOT, 'deploy', script), join(folder, 'deploy', script))
})
afterEach(() => rmSync(folder, { recursive: true }))

function run(script: string, env: Record<string, string> = {}) {
  const path = `${join(folder, 'bin')}:${process.env['PATH']}`
  const { status, stdout, stderr } = spawnSync('sh', [join(folder, 'deploy', script)], {
    env: { ...process.env, PATH: path, ...env },
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

const secret = (name: string) => join(folder, 'deploy/secrets', name)
const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)
const FILES = ['broker.env', 'eventstoredb.env', 'ledger-setup.env']
const PASSWORDS = ['ledger-setup/app-password', 'ledger-setup/audit-password']

test('the secrets are files for their owner alone, and each password is another', () => {
  expect(run('make-secrets.sh').status).toBe(0)
  expect([...FILES, ...PASSWORDS].map((name) => modeOf(secret(name)))).toEqual(Array(5).fill('600'))
  expect(['broker', 'ledger-setup'].map((name) => modeOf(secret(name)))).toEqual(['700', '700'])
  const all = [...FILES, ...PASSWORDS].map((name) => readFileSync(secret(name), 'utf8')).join('')
  // Of admin and of ledger-app two files each, of ops and of ledger-audit one.
  const passwords = all.match(/[0-9a-f]{64}/g)
  expect([passwords?.length, new Set(passwords).size]).toEqual([6, 4])
})

test('what the scripts print holds no secret', () => {
  const { stdout, stderr } = run('make-secrets.sh')
  expect(`${stdout}${stderr}`).not.toMatch(/[0-9a-f]{64}/)
})

test('the secrets fit together: the set-up gives the brokers the password they come with', () => {
  run('make-secrets.sh')
  const [broker, database, setup] = FILES.map((name) => envFile(readFileSync(secret(name), 'utf8')))
  const app = parseAddress(broker?.['BROKER_LEDGER_URL'] ?? '')
  const admin = parseAddress(setup?.['BROKER_LEDGER_ADMIN_URL'] ?? '')
  expect(app.credentials.username).toBe('ledger-app')
  expect(app.credentials.password).toBe(readFileSync(secret('ledger-setup/app-password'), 'utf8').trim())
  expect(admin.credentials.username).toBe('admin')
  expect(admin.credentials.password).toBe(database?.['EVENTSTORE_DEFAULT_ADMIN_PASSWORD'])
  expect(app.name).toBe('esdb://ledger-node1:2113,ledger-node2:2113,ledger-node3:2113')
  expect(app.clientUrl).toContain('tlsCAFile=/certs/ca/ca.crt')
})

test('secrets that are there are never replaced', () => {
  run('make-secrets.sh')
  const before = [...FILES, ...PASSWORDS].map((name) => readFileSync(secret(name), 'utf8'))
  expect(run('make-secrets.sh')).toMatchObject({ status: 0, stdout: '' })
  expect([...FILES, ...PASSWORDS].map((name) => readFileSync(secret(name), 'utf8'))).toEqual(before)
})

/** Stands in for `docker run … es-gencert-cli`: notes its arguments, and writes files where they say. */
const DOCKER = `#!/bin/sh
echo "$@" >>"$CALLS"
while [ $# -gt 0 ]; do
  case $1 in
    --volume) host=\${2%%:*} ;;
    create-ca) name=ca ;;
    create-node) name=node ;;
    -out) out=$host/\${2#/secrets/} ;;
  esac
  shift
done
mkdir -p "$out" && echo certificate >"$out/$name.crt" && echo key >"$out/$name.key"
`

function certificates() {
  mkdirSync(join(folder, 'bin'), { recursive: true })
  writeFileSync(join(folder, 'bin/docker'), DOCKER)
  chmodSync(join(folder, 'bin/docker'), 0o755)
  return run('make-certificates.sh', { CALLS: join(folder, 'calls') })
}

test('each node has a certificate for the address and the name that compose gives it', () => {
  expect(certificates().status).toBe(0)
  const calls = readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n')
  const { services } = composeFile('docker-compose.cluster.yml')
  const nodes = Object.entries(services).filter(([, { image }]) => image.startsWith('eventstore/'))
  expect(nodes).toHaveLength(3)
  for (const [name, { environment }] of nodes) {
    const address = environment?.['EVENTSTORE_REPLICATION_IP']
    expect(calls.filter((call) => call.endsWith(`-ip-addresses ${address} -dns-names ${name}`))).toHaveLength(
      1,
    )
  }
  expect(calls.filter((call) => !call.includes('eventstore/es-gencert-cli:1.0.2 create-'))).toEqual([])
})

test("no node sees the CA's key, and keys are for their owner alone", () => {
  certificates()
  expect(readdirSync(secret('certificates')).sort()).toEqual(['ca', 'node1', 'node2', 'node3'])
  expect(readdirSync(secret('certificates/ca'))).toEqual(['ca.crt'])
  expect(readdirSync(secret('certificates/node1')).sort()).toEqual(['node.crt', 'node.key'])
  expect(modeOf(secret('certificates/node1/node.key'))).toBe('400')
  expect(modeOf(secret('ca/ca.key'))).toBe('400')
})

test('certificates that are there are never replaced', () => {
  certificates()
  expect(certificates()).toMatchObject({ status: 1, stdout: '' })
})

function makeKeys(env: Record<string, string>) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, 'dist/tools/deploy/make-keys.js')],
    {
      env: { BROKER_DATA_DIR: folder, BROKER_OIDC_ISSUER: 'https://broker.example.com', ...env },
      encoding: 'utf8',
    },
  )
  return { status, stdout, stderr }
}

test('keys are made once, as the brokers will load them, and the ledger key is for the name of the ledger', () => {
  expect(makeKeys({})).toMatchObject({ status: 0, stderr: '' })
  const names = ['auditor-token', 'ledger-key.json', 'oidc-keypair.json', 'operator-token']
  expect(names.map((name) => modeOf(join(folder, name)))).toEqual(['600', '600', '600', '600'])
  const before = names.map((name) => readFileSync(join(folder, name), 'utf8'))

  const { stdout } = makeKeys({})
  expect(names.map((name) => readFileSync(join(folder, name), 'utf8'))).toEqual(before)
  const { vkey } = loadOrCreateLedgerKey(join(folder, 'ledger-key.json'), 'broker.example.com/ledger')
  const { kid } = loadOrCreateSigningKey(join(folder, 'oidc-keypair.json'))
  expect(stdout).toContain(`ledger-key.json: vkey ${vkey}\n`)
  expect(stdout).toContain(`oidc-keypair.json: kid ${kid}\n`)
  expect(stdout).not.toContain(before[0]?.trim())
})

test('keys are not made for a configuration that the broker would refuse', () => {
  const { status, stderr } = makeKeys({ BROKER_OIDC_ISSUER: 'http://broker.example.com' })
  expect(status).toBe(1)
  expect(stderr).toContain('BROKER_OIDC_ISSUER')
  expect(readdirSync(folder)).toEqual(['deploy'])
})

test('keys of another ledger are reported, and left as they are', () => {
  makeKeys({})
  const before = readFileSync(join(folder, 'ledger-key.json'), 'utf8')
  const { status, stderr } = makeKeys({ BROKER_OIDC_ISSUER: 'https://other.example.com' })
  expect(status).toBe(1)
  expect(stderr).toContain('it is the key of broker.example.com/ledger')
  expect(readFileSync(join(folder, 'ledger-key.json'), 'utf8')).toBe(before)
})
