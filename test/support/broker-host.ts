// A Debian host with the broker's package at /srv/agentkeys-broker, a local AWS, an ACME server, and what is asked of it.

import { DebianHost } from './debian-host.js'
import type { Ran } from './installed-package.js'
import type { JwtReply, MintReply, Received } from './received.js'

const PACKAGE = '/srv/agentkeys-broker'
const SCRIPT = `${PACKAGE}/scripts/setup-broker-host.sh`
export const HOST = 'broker.example.test'
export const GIVEN = [
  ...['--issuer-url', `https://${HOST}`, '--account-id', '111122223333'],
  ...['--with-nginx', '--with-certbot'],
]
export const SERVICE = 'agentkeys-broker.service'
/** All that the script may write to, but for what the service itself writes. */
const WRITTEN_TO = '/etc /opt /usr/local /var/www /var/lib/agentkeys/.aws'
const ACME = [
  '--server',
  'https://127.0.0.1:14000/dir',
  '--agree-tos',
  '--register-unsafely-without-email',
  '-n',
]
const WITH_ACME = ['env', 'REQUESTS_CA_BUNDLE=/root/acme.crt']

const PEBBLE = {
  pebble: {
    listenAddress: '127.0.0.1:14000',
    managementListenAddress: '127.0.0.1:15000',
    certificate: '/root/acme.crt',
    privateKey: '/root/acme.key',
    httpPort: 80,
    tlsPort: 443,
    ocspResponderURL: '',
    externalAccountBindingRequired: false,
  },
}

export class BrokerHost extends DebianHost {
  constructor(root: string, packageFolder: string) {
    super(root, { [PACKAGE]: packageFolder })
  }

  setUp(...args: string[]): Promise<Ran> {
    return this.run(SCRIPT, ...args)
  }

  setUpAs(user: string, ...args: string[]): Promise<Ran> {
    return this.run('setpriv', `--reuid=${user}`, '--clear-groups', SCRIPT, ...args)
  }

  /** Sets up, and throws what was said when it did not go well. */
  isSetUp(...args: string[]): Promise<string> {
    return this.output(SCRIPT, ...args)
  }

  /** Let's Encrypt's own test server, for which every name is this host. Its root, made at each start, is in /root/ca.pem. */
  async startAcme(): Promise<void> {
    const made =
      '-keyout /root/acme.key -out /root/acme.crt -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1'
    await this.sh(`
      openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 ${made} 2>/dev/null
      echo '${JSON.stringify(PEBBLE)}' > /root/pebble.json
      systemd-run --quiet --unit=names pebble-challtestsrv -defaultIPv4 127.0.0.1 -defaultIPv6 '' -http01 '' -https01 '' -tlsalpn01 ''
      systemd-run --quiet --unit=pebble -E PEBBLE_VA_NOSLEEP=1 -E PEBBLE_WFE_NONCEREJECT=0 \\
        pebble -config /root/pebble.json -dnsserver 127.0.0.1:8053
      curl -sSk --retry 30 --retry-connrefused --retry-delay 1 https://127.0.0.1:15000/roots/0 > /root/ca.pem`)
  }

  async getCertificate(): Promise<void> {
    await this.output(
      ...WITH_ACME,
      'certbot',
      'certonly',
      '--webroot',
      '-w',
      '/var/www/certbot',
      '-d',
      HOST,
      ...ACME,
    )
  }

  async renewCertificate(): Promise<void> {
    await this.output(...WITH_ACME, 'certbot', 'renew', '--force-renewal', '--no-random-sleep-on-renew', '-n')
  }

  servedCertificate(): Promise<string> {
    return this.sh(
      `openssl s_client -connect ${HOST}:443 -servername ${HOST} </dev/null 2>/dev/null | openssl x509 -noout -serial`,
    )
  }

  /** Knows the account of the tests, and fetches the issuer's keys as AWS would: by https, under the certificate's name. */
  async startLocalAws(): Promise<void> {
    await this.sh(`
      grep -qs ${HOST} /etc/hosts || echo 127.0.0.1 localhost ${HOST} >> /etc/hosts
      systemd-run --quiet --unit=local-aws -E NODE_EXTRA_CA_CERTS=/root/ca.pem \\
        node ${PACKAGE}/dist/tools/local-aws/main.js --issuer https://${HOST}`)
  }

  /** Rejects where the broker hands nothing out. */
  async mints(
    route: 'mint-oidc-jwt' | 'mint-aws-creds',
    received: Received,
    url = 'http://127.0.0.1:8091',
  ): Promise<void> {
    const text = await this.sh(`
      session=$(curl -sS http://127.0.0.1:8090/session/create -H 'content-type: application/json' -d '{"auth_token":"ann"}' |
        sed 's/.*"session":"\\([^"]*\\)".*/\\1/')
      curl -sS --cacert /root/ca.pem -X POST -H "Authorization: Bearer $session" ${url}/v1/${route}`)
    const body = JSON.parse(text) as MintReply['body'] & JwtReply
    if (body.error !== undefined) throw new Error(text)
    received.note({ status: 200, body } as MintReply)
  }

  /** Changes with any byte, link or mode that the script could have written. */
  state(): Promise<string> {
    return this.sh(`
      { find ${WRITTEN_TO} -path /opt/agentkeys-broker/releases -prune -o -printf '%p %m %u %l\\n'
        find ${WRITTEN_TO} -path /opt/agentkeys-broker/releases -prune -o -type f -print0 | xargs -0 sha256sum
        ls /opt/agentkeys-broker/releases; } | LC_ALL=C sort | sha256sum`)
  }

  async isReady(): Promise<boolean> {
    return (await this.run('curl', '-fsS', 'http://127.0.0.1:8091/readyz')).code === 0
  }

  show(property: string, unit = SERVICE): Promise<string> {
    return this.output('systemctl', 'show', '-p', property, '--value', unit)
  }

  /** Which processes serve, and when nginx was reloaded last. */
  async running(): Promise<string[]> {
    const reloaded = await this.show('ExecReload', 'nginx')
    return [await this.show('MainPID'), await this.show('MainPID', 'nginx'), reloaded]
  }

  verifyUnit(): Promise<Ran> {
    return this.run('systemd-analyze', 'verify', `/etc/systemd/system/${SERVICE}`)
  }

  /** No apt-get, no nginx until dnf has "installed" it, and no folder for sites. */
  async pretendDnf(): Promise<void> {
    await this.sh(`
      mkdir -p /root/away; mv /usr/bin/apt-get /usr/sbin/nginx /usr/bin/certbot /etc/nginx/sites-available /root/away
      printf '#!/bin/sh\\necho "$*" >> /root/dnf-asked; mv /root/away/nginx /usr/sbin; mv /root/away/certbot /usr/bin\\n' > /usr/bin/dnf
      chmod +x /usr/bin/dnf
      mkdir -p /usr/local/lib/systemd/system
      printf '[Timer]\\nOnCalendar=daily\\nUnit=certbot.service\\n[Install]\\nWantedBy=timers.target\\n' > /usr/local/lib/systemd/system/certbot-renew.timer
      systemctl daemon-reload`)
  }
}
