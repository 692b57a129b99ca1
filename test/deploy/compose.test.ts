// No container engine runs these files in the tests. What can be known without one is held here: docs/deployment.md
// says what cannot.

import { describe, expect, test } from '@jest/globals'

import { VARIABLES } from '../../src/config/variables.js'
import { DATA_ROLE_ARN } from '../../tools/local-aws/default-account.js'
import { composeFile, configOf, type Service, service, textOf } from './compose-file.js'

const DEV = 'docker-compose.yml'
const CLUSTER = 'docker-compose.cluster.yml'
const dockerfile = textOf('Dockerfile')

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

test('a container has longer to stop than the broker takes', () => {
  for (const broker of [service(DEV, 'broker'), service(CLUSTER, 'broker1')]) {
    const { shutdownGraceSeconds } = configOf(broker)
    expect(parseInt(broker.stop_grace_period ?? '0')).toBeGreaterThan(shutdownGraceSeconds)
  }
})
