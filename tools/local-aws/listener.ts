// A socket on loopback that answers HTTP.

import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Listener {
  server: Server
  url: string
}

export function listening(
  handle: RequestListener,
  { port, host }: { port: number; host: string },
): Promise<Listener> {
  const server = createServer(handle)
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host.replace(/^\[|\]$/g, ''), () => {
      server.off('error', reject)
      const { port: actual } = server.address() as AddressInfo
      const named = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
      resolve({ server, url: `http://${named}:${actual}` })
    })
  })
}

export function closed({ server }: Listener): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
