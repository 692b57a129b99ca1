// What the image takes from the broker, taken from it here by the kernel, without an engine: a root file system that can
// be written to, and every capability. Where this machine does not allow that, the name of a skipped test says so.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { LEDGERS, type LedgerHome } from '../support/ledger-home.js'
import { type MintReply, Received } from '../support/received.js'
import { verifiedLedger } from '../support/verified-ledger.js'

/** Nothing is left to write to but `folder`: not even /tmp, which the compose files do give. */
const SCRIPT = `
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
for point in / /tmp /dev/shm; do
  if mountpoint -q "$point"; then mount -o remount,ro,bind "$point"; fi
done
if touch "$1/../.writable" 2>/dev/null; then exit 99; fi
shift
exec setpriv --no-new-privs --inh-caps=-all --bounding-set=-all "$@"`

const under = (folder: string, ...rights: string[]) => [
  ...['unshare', ...rights, '--mount', 'sh', '-c', SCRIPT, 'sh', folder],
]

/** As root, or as one's own root in a user namespace. */
const RIGHTS = [[], ['--user', '--map-root-user']].find(isAllowed)

function isAllowed(rights: string[]): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'read-only-'))
  const [command = '', ...args] = under(folder, ...rights)
  const { status } = spawnSync(command, [...args, 'touch', join(folder, 'probe')])
  rmSync(folder, { recursive: true })
  return status === 0
}

if (!RIGHTS)
  test.skip('a broker on a read-only root, without capabilities: this machine lets no one mount', () => {})
else
  describe.each(LEDGERS)('the ledger in $ledger', ({ openHome }) => {
    let home: LedgerHome
    let broker: BrokerProcess
    beforeAll(async () => {
      home = await openHome()
    })
    afterAll(async () => {
      await broker.dispose()
      await home.dispose()
    })

    test('a broker on a read-only root, without capabilities, needs its data dir alone', async () => {
      const received = new Received()
      const dataDir = mkdtempSync(join(tmpdir(), 'agentkeys-'))
      broker = await BrokerProcess.start({ dataDir, env: home.env, under: under(dataDir, ...RIGHTS) })
      const mintsAndStops = async () => {
        const reply: MintReply = await broker.post('/v1/mint-oidc-jwt', (await broker.session()).session)
        received.note(reply)
        expect([reply.status, (await broker.get('/readyz')).status]).toEqual([200, 200])
        expect(await broker.stop()).toBe(0)
        expect(broker.log).not.toMatch(/EROFS|read-only file system/i)
      }
      await mintsAndStops()
      // And on a folder that there is.
      broker = await broker.restart()
      await mintsAndStops()
      expect(received.unexplainedBy(await verifiedLedger(home.folder(dataDir)))).toEqual([])
      expect(received.count.jwts).toBe(2)
    })
  })
