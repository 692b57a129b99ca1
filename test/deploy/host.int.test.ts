// The host script on a real systemd, from an empty machine to an empty machine. Where this machine boots none, the name of
// a skipped test says why. The tests are one story: each goes on where the one before it ended.

import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

import { BrokerHost, GIVEN, HOST, SERVICE } from '../support/broker-host.js'
import { makeDebian, whyNoDebian } from '../support/debian-host.js'
import { checkOut, install, pack, PROJECT } from '../support/installed-package.js'
import { PackageRegistry } from '../support/package-registry.js'
import { Received } from '../support/received.js'
import { until } from '../support/until.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const NAME = 'agentkeys-broker'
const folder = mkdtempSync(join(tmpdir(), 'host-'))
const release = join(folder, 'installed/node_modules', NAME)
const host = new BrokerHost(join(folder, 'root'), release)
const received = new Received()
const reason = whyNoDebian() ?? (await isBooted())

/** As npm installs it, with the native module that npm ci has built already. */
async function installRelease(): Promise<void> {
  const tarball = await pack(checkOut(folder), folder)
  const registry = await PackageRegistry.start(tarball)
  try {
    const flags = ['--registry', registry.url, '--omit=optional']
    const { code, stderr } = await install(NAME, join(folder, 'installed'), flags)
    if (code !== 0) throw new Error(stderr)
  } finally {
    await registry.stop()
  }
  const native = 'node_modules/better-sqlite3/build/Release/better_sqlite3.node'
  cpSync(join(PROJECT, native), join(release, native))
}

/** Undefined, or why this machine makes or boots no Debian. */
async function isBooted(): Promise<string | undefined> {
  const problem = makeDebian(host.root).then(
    () => undefined,
    (error: Error) => error.message,
  )
  await installRelease()
  try {
    const made = await problem
    if (made === undefined) await host.boot()
    return made
  } catch (error) {
    host.kill()
    return (error as Error).message
  }
}

afterAll(() => {
  host.kill()
  rmSync(folder, { recursive: true, force: true })
})

const modeOf = (path: string) => (statSync(host.path(path)).mode & 0o777).toString(8)
const textOf = (path: string) => readFileSync(host.path(path), 'utf8')
const curl = (...args: string[]) => host.output('curl', '-sS', '--cacert', '/root/ca.pem', ...args)
const statusOf = (...args: string[]) => curl('-o', '/dev/null', '-w', '%{http_code}', '--path-as-is', ...args)

if (reason !== undefined) test.skip(`the host script on a real systemd: ${reason}`, () => {})
else
  describe('the host script on a real systemd', () => {
    beforeAll(() => host.startAcme().then(() => host.startLocalAws()))

    test('without root and sudo it is refused', async () => {
      const { code, stderr } = await host.setUpAs('nobody', ...GIVEN)
      expect([code, stderr]).toEqual([1, expect.stringContaining('sudo is not here')])
    })

    test.each([
      ['static', '/etc/agentkeys/broker.env', '#DAEMON_ACCESS_KEY_ID=\n'],
      ['profile', '/var/lib/agentkeys/.aws/credentials', 'aws_access_key_id = REPLACE-ME\n'],
    ])('mode %s starts nothing before %s is filled in', async (mode, path, placeholder) => {
      const said = await host.isSetUp(...GIVEN, '--cred-mode', mode)
      expect(said).toContain('Not started: it needs')
      expect([modeOf(path), textOf(path)]).toEqual(['600', expect.stringContaining(placeholder)])
      expect(await host.show('ActiveState')).toBe('inactive')
      writeFileSync(host.path(path), `${textOf(path)}# mine\n`)
      await host.isSetUp('--cred-mode', mode)
      expect(textOf(path)).toContain('# mine')
    })

    test('a ledger in EventStoreDB needs its URL, and its unit verifies', async () => {
      expect(await host.isSetUp('--store', 'eventstoredb', '--cred-mode', 'none')).toContain(
        'BROKER_LEDGER_URL',
      )
      expect(await host.show('StartLimitIntervalUSec')).toBe('0')
      expect(await host.verifyUnit()).toEqual({ code: 0, stdout: '', stderr: '' })
    })

    test('the broker is up under the shipped unit, and mints', async () => {
      writeFileSync(host.path('/etc/agentkeys/broker.env'), 'AWS_ENDPOINT_URL_STS=http://127.0.0.1:8093\n')
      await host.isSetUp('--store', 'sqlite', '--cred-mode', 'none')
      expect(await host.verifyUnit()).toEqual({ code: 0, stdout: '', stderr: '' })
      expect(await statusOf('http://127.0.0.1:8091/readyz')).toBe('200')
      await host.mints('mint-oidc-jwt', received)
      const confined = await host.sh(
        `grep -E 'NoNewPrivs|Seccomp:|CapBnd' /proc/${await host.show('MainPID')}/status`,
      )
      expect(confined.split(/\s+/)).toEqual(['CapBnd:', '0'.repeat(16), 'NoNewPrivs:', '1', 'Seccomp:', '2'])
      expect([modeOf('/var/lib/agentkeys'), modeOf('/var/lib/agentkeys/broker')]).toEqual(['700', '700'])
    })

    test('a second run changes no byte and restarts nothing', async () => {
      const before = [await host.state(), await host.running()]
      expect(await host.isSetUp(...GIVEN, '--cred-mode', 'none')).toContain('not restarted')
      expect([await host.state(), await host.running()]).toEqual(before)
    })

    test('phase A serves the ACME challenge and nothing else', async () => {
      await host.sh(
        'mkdir -p /var/www/certbot/.well-known/acme-challenge; echo yes > /var/www/certbot/.well-known/acme-challenge/x',
      )
      expect(await curl(`http://${HOST}/.well-known/acme-challenge/x`)).toBe('yes')
      for (const path of [
        '/',
        '/healthz',
        '/.well-known/jwks.json',
        '/.well-known/acme-challenge/../../healthz',
      ])
        expect([path, await statusOf(`http://${HOST}${path}`)]).toEqual([path, '503'])
      expect(await curl(`http://${HOST}/`)).toMatch(/certificate .* is not there yet/)
    })

    test('a certificate from an ACME server through that site; then the site ends TLS', async () => {
      await host.getCertificate()
      const before = await host.show('MainPID')
      expect(await host.isSetUp()).toContain('wrote /etc/nginx/sites-available/agentkeys-broker')
      expect(await host.show('MainPID')).toBe(before)
      expect(await curl(`https://${HOST}/healthz`)).toBe('ok')
      expect(await statusOf(`http://${HOST}/healthz`)).toBe('301')
      // STS fetches the issuer's keys from there, as AWS would.
      await host.mints('mint-aws-creds', received, `https://${HOST}`)
      expect(received.count).toEqual({ jwts: 1, keys: 1 })
    })

    test('nginx and the broker agree on paths, however they are written', async () => {
      const written = (path: string) => {
        const [first = '', rest = ''] = [path[1], path.slice(2)]
        const escaped = `%${first.charCodeAt(0).toString(16)}${rest}`
        return [
          path,
          `/${path}`,
          `/${escaped}`,
          `/.${path}`,
          `/%2e${path}`,
          `/x/..${path}`,
          `${path}/`,
          path.slice(1),
        ]
      }
      const asked = async (target: string, url: string) =>
        statusOf('--http1.1', '--request-target', target, url)
      for (const target of ['/healthz', '/.well-known/jwks.json'].flatMap(written)) {
        const [outside, inside] = [
          await asked(target, `https://${HOST}`),
          await asked(target, 'http://127.0.0.1:8091'),
        ]
        expect([target, outside === '200']).toEqual([target, inside === '200'])
      }
      for (const target of ['/metrics', '/readyz'].flatMap(written))
        expect([target, await asked(target, `https://${HOST}`)]).toEqual([
          target,
          expect.stringMatching(/^40[04]$/),
        ])
    })

    test('a renewed certificate is in use without anything else', async () => {
      const before = await host.servedCertificate()
      await host.renewCertificate()
      expect(await host.servedCertificate()).not.toBe(before)
    })

    test('after a reboot it is all there again', async () => {
      await host.powerOff()
      await host.boot()
      await host.startLocalAws()
      // Its first start may have found no STS yet: systemd tries again.
      await until(() => host.isReady())
      expect(await host.isSetUp()).toContain('not restarted')
      expect(await curl(`https://${HOST}/healthz`)).toBe('ok')
      await host.mints('mint-oidc-jwt', received)
    })

    test('an upgrade takes another release into use, and keeps the one before', async () => {
      const before = await host.sh('readlink /opt/agentkeys-broker/current')
      await host.sh(
        `cp -a /srv/agentkeys-broker /root/next && sed -i 's/"version": "[^"]*"/"version": "0.2.0"/' /root/next/package.json`,
      )
      expect(await host.isSetUp('--upgrade', '--release', '/root/next')).toMatch(/runs 0\.2\.0-/)
      expect(await host.output('agentkeys-broker-server', '--version')).toBe('0.2.0')
      expect(existsSync(host.path(before))).toBe(true)
      await host.mints('mint-oidc-jwt', received)
    })

    test('a release that does not become ready is taken back, with the settings that came with it', async () => {
      await host.sh(
        `echo 'process.exit(process.argv.includes("--print-config") ? 0 : 1)' > /root/next/dist/src/main.js`,
      )
      const before = await host.state()
      const { code, stderr } = await host.setUp(
        '--upgrade',
        '--release',
        '/root/next',
        '--region',
        'eu-west-1',
      )
      expect([code, stderr]).toEqual([
        1,
        expect.stringMatching(/did not become ready .* 0\.2\.0-\w+ runs again/s),
      ])
      expect(await host.state()).toBe(before)
      await host.mints('mint-oidc-jwt', received)
    })

    test('it is taken off the machine, and the ledger stays', async () => {
      expect((await host.setUp('--uninstall')).stderr).toContain('needs --yes')
      await host.isSetUp('--uninstall', '--yes')
      const left = await host.sh(
        `find /etc/systemd /etc/agentkeys /etc/nginx /opt /usr/local -name '*agentkeys*' -o -name '*.env'`,
      )
      expect(left.split('\n').sort()).toEqual(
        ['/etc/agentkeys', '/etc/agentkeys/broker.env', '/etc/agentkeys/ledger.env'].sort(),
      )
      expect(await host.show('LoadState')).toBe('not-found')
      expect(await host.show('ActiveState', 'nginx')).toBe('active')
      const ledger = await verifiedLedger(host.path('/var/lib/agentkeys/broker'))
      expect(received.unexplainedBy(ledger)).toEqual([])
      expect(received.count).toEqual({ jwts: 4, keys: 1 })
    })

    test('where there is dnf, it is asked for the packages, and the site lies where its nginx looks', async () => {
      await host.pretendDnf()
      await host.isSetUp(...GIVEN, '--cred-mode', 'none')
      expect(textOf('/root/dnf-asked')).toBe('install -y -q nginx certbot\n')
      expect(await host.sh('ls /etc/nginx/conf.d')).toBe('agentkeys-broker.conf')
      expect(await curl(`https://${HOST}/healthz`)).toBe('ok')
      await host.mints('mint-oidc-jwt', received)
      await host.output('systemctl', 'stop', SERVICE)
      expect(received.unexplainedBy(await verifiedLedger(host.path('/var/lib/agentkeys/broker')))).toEqual([])
    })
  })
