// A registry of one package: what it serves of that one has what a registry adds when a package is published. Of all
// others it refers to the registry that npm uses.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

interface Manifest {
  name: string
  version: string
}

export class PackageRegistry {
  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async start(tarball: string): Promise<PackageRegistry> {
    const bytes = readFileSync(tarball)
    const unpacked = execFileSync('tar', ['-xzOf', tarball, 'package/package.json']).toString()
    const manifest = JSON.parse(unpacked) as Manifest
    const other = execFileSync('npm', ['config', 'get', 'registry']).toString().trim().replace(/\/$/, '')
    const server = createServer(({ url: path = '/' }, response) => {
      if (path === `/${manifest.name}`) response.end(JSON.stringify(published(manifest, bytes, url)))
      else if (path === '/-/tarball.tgz') response.end(bytes)
      else response.writeHead(302, { location: `${other}${path}` }).end()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    return new PackageRegistry(server, url)
  }

  async stop(): Promise<void> {
    this.server.close()
    this.server.closeAllConnections()
    await once(this.server, 'close')
  }
}

function published(manifest: Manifest, tarball: Buffer, url: string): object {
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
  const { name, version } = manifest
  const dist = { tarball: `${url}/-/tarball.tgz`, integrity }
  return {
    name,
    'dist-tags': { latest: version },
    versions: { [version]: { ...manifest, _hasShrinkwrap: true, dist } },
  }
}
