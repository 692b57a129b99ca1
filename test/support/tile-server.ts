// A directory of tiles behind HTTP, for tests: what a broker's read side does, and what it should never do.

import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, normalize } from 'node:path'
import { gzipSync } from 'node:zlib'

export interface TileServerOptions {
  /** Asked of requests for an entry bundle. */
  token?: string
  gzip?: boolean
  /** Answers in the directory's place when it returns true. `path` is below the prefix. */
  instead?: (path: string, response: ServerResponse) => boolean
}

export class TileServer {
  /** Below the prefix, in the order in which they were asked for; with the authorization that came along. */
  readonly asked: { path: string; authorization: string | undefined }[] = []
  private readonly server: Server

  private constructor(
    private readonly folder: string,
    private readonly options: TileServerOptions,
  ) {
    this.server = createServer((request, response) => void this.answer(request, response))
  }

  static async start(folder: string, options: TileServerOptions = {}): Promise<TileServer> {
    const server = new TileServer(folder, options)
    await new Promise<void>((resolve) => server.server.listen(0, '127.0.0.1', resolve))
    return server
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/ledger`
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, path] = /^\/ledger\/(.+)$/.exec(normalize(request.url ?? '')) ?? []
    if (path === undefined) return void response.writeHead(404).end()
    const { authorization } = request.headers
    this.asked.push({ path, authorization })
    if (this.options.instead?.(path, response)) return
    const { token } = this.options
    const closed = token !== undefined && path.startsWith('tile/entries/')
    if (closed && authorization !== `Bearer ${token}`) return void response.writeHead(401).end()
    try {
      const bytes = await readFile(join(this.folder, path))
      if (!this.options.gzip) return void response.writeHead(200).end(bytes)
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(bytes))
    } catch {
      response.writeHead(404).end()
    }
  }
}
