// What docker-compose.cluster.yml promises beyond what compose.test.ts holds of both files.

import { expect, test } from '@jest/globals'

import { VARIABLES } from '../../src/config/variables.js'
import { parseAddress } from '../../src/event-store/eventstoredb/address.js'
import { composeFile, configOf, envFile, service, textOf } from './compose-file.js'

const CLUSTER = 'docker-compose.cluster.yml'
const example = envFile(textOf('deploy/cluster.env.example'))
const NODES = ['ledger-node1', 'ledger-node2', 'ledger-node3']

test.each(['broker1', 'broker2'])('%s of the cluster takes its configuration', (key) => {
  const url =
    'esdb://ledger-app:p@ledger-node1:2113,ledger-node2:2113,ledger-node3:2113?tlsCAFile=/certs/ca/ca.crt'
  expect(configOf(service(CLUSTER, key), { ...example, BROKER_LEDGER_URL: url })).toMatchObject({
    nodeId: key,
    issuer: 'https://broker.example.com',
    backend: { kind: 'http' },
    oidcKeypairPath: '/run/agentkeys/oidc-keypair.json',
    ledger: { keyPath: '/run/agentkeys/ledger-key.json', store: { kind: 'esdb', url } },
    auditorTokenFile: '/run/agentkeys/auditor-token',
  })
  expect(parseAddress(url).name).toBe('esdb://ledger-node1:2113,ledger-node2:2113,ledger-node3:2113')
})

test('the brokers of the cluster read the same keys, and only the one that makes them can write there', () => {
  const keys = (key: string) =>
    service(CLUSTER, key).volumes?.find(
      (volume) => typeof volume !== 'string' && volume.target === '/run/agentkeys',
    )
  const shared = { type: 'bind', source: './deploy/secrets/broker', target: '/run/agentkeys' }
  expect(keys('broker1')).toEqual({ ...shared, read_only: true })
  expect(keys('broker2')).toEqual({ ...shared, read_only: true })
  expect(keys('keys')).toEqual({ ...shared, read_only: false })
  expect(service(CLUSTER, 'keys')).toMatchObject({ profiles: ['setup'], network_mode: 'none' })
})

test('the brokers of the cluster wait for the rights of the ledger, and those for all three nodes', () => {
  const done = { 'ledger-setup': { condition: 'service_completed_successfully' } }
  expect(service(CLUSTER, 'broker1').depends_on).toEqual(done)
  expect(service(CLUSTER, 'broker2').depends_on).toEqual(done)
  expect(Object.keys(service(CLUSTER, 'ledger-setup').depends_on ?? {})).toEqual(NODES)
})

test("no broker gets the administrator's password, and the set-up none of the brokers' keys", () => {
  const cluster = composeFile(CLUSTER).services
  const holders = Object.keys(cluster).filter((key) =>
    cluster[key]?.env_file?.some((file) => /setup/.test(file)),
  )
  expect(holders).toEqual(['ledger-setup'])
  expect(JSON.stringify(cluster['ledger-setup']?.volumes)).not.toContain('agentkeys')
  const mounting = Object.keys(cluster).filter((key) =>
    /ledger-setup/.test(JSON.stringify(cluster[key]?.volumes)),
  )
  expect(mounting).toEqual(['ledger-setup'])
})

test.each(NODES)('%s is secure, and seeds its gossip with the two others', (key) => {
  const { environment = {}, networks = {}, volumes = [] } = service(CLUSTER, key)
  const i = key.slice(-1)
  const others = ['11', '12', '13'].filter((host) => host !== `1${i}`)
  expect(environment).toMatchObject({
    EVENTSTORE_CLUSTER_SIZE: '3',
    EVENTSTORE_REPLICATION_IP: `172.30.240.1${i}`,
    EVENTSTORE_GOSSIP_SEED: others.map((host) => `172.30.240.${host}:2113`).join(','),
    EVENTSTORE_ADVERTISE_HOST_TO_CLIENT_AS: key,
  })
  expect(Object.keys(environment)).not.toContain('EVENTSTORE_INSECURE')
  expect(networks).toEqual({ ledger: { ipv4_address: `172.30.240.1${i}` } })
  const mounted = volumes.flatMap((volume) => (typeof volume === 'string' ? [] : [volume]))
  expect(mounted).toEqual([
    { type: 'bind', source: './deploy/secrets/certificates/ca', target: '/certs/ca', read_only: true },
    {
      type: 'bind',
      source: `./deploy/secrets/certificates/node${i}`,
      target: '/certs/node',
      read_only: true,
    },
  ])
})

test('the ledger is on a network without a way out, and its nodes publish nothing', () => {
  expect(composeFile(CLUSTER).networks?.['ledger']?.internal).toBe(true)
  expect(NODES.flatMap((key) => service(CLUSTER, key).ports ?? [])).toEqual([])
})

test('every variable of the example is one the broker knows, and no secret', () => {
  const known: readonly string[] = VARIABLES
  expect(Object.keys(example).filter((name) => !known.includes(name))).toEqual([])
  expect(JSON.stringify(example)).not.toMatch(/password|@|secret/i)
})
