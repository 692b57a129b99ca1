// No container engine runs these files in the tests. What can be known without one is held here: docs/deployment.md
// says what cannot.

import { describe, expect, test } from '@jest/globals'

import { readConfig } from '../../src/config.js'
import { VARIABLES } from '../../src/config/variables.js'
import { parseAddress } from '../../src/event-store/eventstoredb-address.js'
import { parseFlags } from '../../src/flags.js'
import { DATA_ROLE_ARN } from '../../tools/local-aws/default-account.js'
import { composeFile, envFile, execForm, type Service, textOf } from './compose-file.js'

const DEV = 'docker-compose.yml'
const CLUSTER = 'docker-compose.cluster.yml'
const dockerfile = textOf('Dockerfile')
const example = envFile(textOf('deploy/cluster.env.example'))
const NODES = ['ledger-node1', 'ledger-node2', 'ledger-node3']

/** Start, do one thing, end. */
const isOneShot = ({ restart }: Service) => restart === 'no'
const isOurs = ({ build }: Service) => build !== undefined

describe.each([DEV, CLUSTER])('%s', (name) => {
  const file = composeFile(name)
  const services = Object.entries(file.services)

  test('every image has a full tag', () => {
    const loose = services.filter(([, { image }]) => !/^[a-z0-9./-]+:\d+\.\d+\.\d+[a-z0-9.-]*$/.test(image))
    expect(loose).toEqual([])
  })

  test('every image that is built is a stage of the Dockerfile', () => {
    const stages = [...dockerfile.matchAll(/^FROM \S+ AS (\S+)$/gm)].map(([, stage]) => stage)
    const built = services.flatMap(([, { build }]) => (build ? [build.target] : []))
    expect(built).not.toEqual([])
    expect(built.filter((target) => !stages.includes(target))).toEqual([])
  })

  test('every port is published on loopback only', () => {
    const ports = services.flatMap(([, { ports = [] }]) => ports)
    expect(ports).not.toEqual([])
    expect(ports.filter((port) => !/^127\.0\.0\.1:\d+:\d+$/.test(port))).toEqual([])
  })

  test('neither the session backend nor the local AWS is published', () => {
    const published = services.flatMap(([, { ports = [] }]) => ports.map((port) => port.split(':').at(-1)))
    expect(published).not.toContain('8090')
    expect(published).not.toContain('8093')
  })

  test('every service comes back after a crash, unless it is there to end', () => {
    const policies = services.filter((entry) => !isOneShot(entry[1])).map(([, { restart }]) => restart)
    expect(new Set(policies)).toEqual(new Set(['unless-stopped']))
  })

  test('every service that stays has a health check, its own or that of the broker image', () => {
    const unchecked = services.filter(
      ([, service]) => !isOneShot(service) && !service.healthcheck && service.build?.target !== 'broker',
    )
    expect(unchecked).toEqual([])
    const waits = services.flatMap(([, { depends_on = {} }]) => Object.values(depends_on))
    const conditions = waits.map(({ condition }) => condition)
    expect(conditions).not.toContain('service_started')
  })

  test('no service has capabilities, new privileges or logs without end', () => {
    for (const [, service] of services) {
      expect(service).toMatchObject({
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
        logging: { options: { 'max-size': '10m', 'max-file': '5' } },
      })
    }
  })

  test('what we build and what faces the network runs on a read-only root', () => {
    const writable = services.filter(([key, service]) => isOurs(service) || key === 'nginx')
    expect(writable.filter(([, { read_only }]) => read_only !== true)).toEqual([])
  })

  test('every named volume is declared, and belongs to one service', () => {
    const used = services.flatMap(([, { volumes = [] }]) =>
      volumes.flatMap((volume) => (typeof volume === 'string' ? [volume.split(':')[0]] : [])),
    )
    expect([...used].sort()).toEqual(Object.keys(file.volumes ?? {}).sort())
  })

  test('every broker, and every EventStoreDB, keeps its data on a volume', () => {
    const homes = { broker: '/var/lib/agentkeys', ledger: '/var/lib/eventstore' }
    for (const [key, { image, volumes = [] }] of services.filter((entry) => !isOneShot(entry[1]))) {
      const home = image.startsWith('eventstore/') ? homes.ledger : homes.broker
      if (!image.startsWith('eventstore/') && !image.startsWith('agentkeys-broker')) continue
      expect([
        key,
        volumes.some((volume) => typeof volume === 'string' && volume.endsWith(`:${home}`)),
      ]).toEqual([key, true])
    }
  })

  test('no password is in the file, neither a default nor in a URL', () => {
    const text = textOf(name)
    expect(text).not.toMatch(/changeit|password\s*[:=]\s*\S|secret_?(access_?)?key\s*[:=]/i)
    expect(text).not.toMatch(/:\/\/[^\s/]*@/)
  })

  test('every variable of a broker is one the broker knows', () => {
    const own = services.filter(([, service]) => isOurs(service))
    const names = own.flatMap(([, { environment = {} }]) => Object.keys(environment))
    const known: readonly string[] = VARIABLES
    expect(names).not.toEqual([])
    expect(names.filter((variable) => !known.includes(variable))).toEqual([])
  })

  test('every variable of EventStoreDB is one that 24.10 knows: it does not start with any other', () => {
    const nodes = services.filter(([, { image }]) => image.startsWith('eventstore/'))
    const names = nodes.flatMap(([, { environment = {} }]) => Object.keys(environment))
    expect(names).not.toEqual([])
    expect(names.filter((variable) => !EVENTSTORE_VARIABLES.includes(variable))).toEqual([])
  })

  test('a database keeps its events on disk, and flushes them', () => {
    expect(textOf(name)).not.toMatch(/MEM_DB|UNSAFE_/)
  })
})

/** Those of the options of 24.10 that we have a use for. */
const EVENTSTORE_VARIABLES = [
  'CLUSTER_SIZE',
  'INSECURE',
  'NODE_PORT',
  'RUN_PROJECTIONS',
  'START_STANDARD_PROJECTIONS',
  'ENABLE_ATOM_PUB_OVER_HTTP',
  'TELEMETRY_OPTOUT',
  'DISCOVER_VIA_DNS',
  'GOSSIP_SEED',
  'REPLICATION_IP',
  'ADVERTISE_HOST_TO_CLIENT_AS',
  'ADVERTISE_NODE_PORT_TO_CLIENT_AS',
  'TRUSTED_ROOT_CERTIFICATES_PATH',
  'CERTIFICATE_FILE',
  'CERTIFICATE_PRIVATE_KEY_FILE',
].map((name) => `EVENTSTORE_${name}`)

/** What the broker makes of a service's environment and command; HOME as the image's user has it. */
function configOf({ environment, command }: Service, more: Record<string, string> = {}) {
  const line = parseFlags(command ?? execForm(dockerfile, 'CMD'))
  if (line.kind !== 'run') throw new Error(`the command is ${JSON.stringify(line)}`)
  const image = { HOME: '/home/node', BROKER_DATA_DIR: '/var/lib/agentkeys' }
  const reading = readConfig({ ...image, ...more, ...environment }, line.flags)
  if (!('config' in reading)) throw new Error(reading.problems.join('\n'))
  return reading.config
}

function service(name: string, key: string): Service {
  const found = composeFile(name).services[key]
  if (!found) throw new Error(`${name} has no service ${key}`)
  return found
}

test('the broker for development takes its configuration, on the insecure ledger and the local AWS', () => {
  const config = configOf(service(DEV, 'broker'))
  expect(config).toMatchObject({
    bind: '0.0.0.0',
    port: 8091,
    issuer: 'http://127.0.0.1:8091',
    policy: { dataRoleArn: DATA_ROLE_ARN },
    backend: { kind: 'embedded' },
    aws: { stsEndpoint: 'http://127.0.0.1:8093' },
    ledger: { store: { kind: 'esdb', url: 'esdb://eventstoredb:2113?tls=false' } },
  })
})

test('the broker for development has its loopback from the local AWS, which names the broker as issuer', () => {
  const localAws = service(DEV, 'local-aws')
  expect(service(DEV, 'broker').network_mode).toBe('service:local-aws')
  expect(localAws.ports).toEqual(['127.0.0.1:8091:8091'])
  expect(localAws.command).toEqual(['--issuer', 'http://127.0.0.1:8091', '--port', '8093'])
})

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

test('a container has longer to stop than the broker takes', () => {
  const brokers = [service(DEV, 'broker'), service(CLUSTER, 'broker1'), service(CLUSTER, 'broker2')]
  for (const broker of brokers) {
    const { shutdownGraceSeconds } = configOf(broker, example)
    expect(parseInt(broker.stop_grace_period ?? '0')).toBeGreaterThan(shutdownGraceSeconds)
  }
})
