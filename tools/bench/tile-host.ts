// A static host for an exported log: keep-alive, files as they lie there, nothing else of HTTP. Like the load it shares
// the machine with what is measured, so it must cost little.

import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'

import { answerOrders } from './child.js'

export interface HostOrder {
  /** The folder to serve from now on, below /ledger. */
  folder: string
}

export interface Hosting {
  url: string
}

let folder = ''
const server = createServer({ noDelay: true }, serve)

async function host(order: HostOrder): Promise<Hosting> {
  folder = order.folder
  if (!server.listening) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/ledger` }
}

function serve(socket: Socket): void {
  let received = ''
  socket.on('error', () => socket.destroy())
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text
    if (!received.endsWith('\r\n\r\n')) return
    const [, path] = /^GET \/ledger\/([\w./]+) HTTP\/1\.1\r\n/.exec(received) ?? []
    received = ''
    reply(socket, path === undefined ? undefined : read(join(folder, path)))
  })
}

function read(path: string): Buffer | undefined {
  try {
    // From the page cache, on a thread that has nothing else to do: handing it to another would take longer.
    return readFileSync(path)
  } catch {
    return undefined
  }
}

function reply(socket: Socket, bytes: Buffer | undefined): void {
  socket.cork()
  socket.write(
    `HTTP/1.1 ${bytes ? '200 OK' : '404 Not Found'}\r\nContent-Length: ${bytes?.length ?? 0}\r\n\r\n`,
  )
  if (bytes) socket.write(bytes)
  socket.uncork()
}

answerOrders(host, async () => {
  await new Promise((resolve) => server.close(resolve))
})
