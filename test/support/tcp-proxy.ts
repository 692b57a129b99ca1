// A way to a server on this machine that can fall silent or be cut, and come back.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export class TcpProxy {
  private readonly sockets = new Set<Socket>()
  private held: (() => void)[] = []
  private state: 'open' | 'silent' | 'cut' = 'open'

  private constructor(private readonly server: Server) {}

  /** `target` is asked for each connection: a server may come back elsewhere. */
  static async open(target: () => number): Promise<TcpProxy> {
    const server = createServer()
    const proxy = new TcpProxy(server)
    server.on('connection', (socket) => proxy.join(socket, connect(target(), '127.0.0.1')))
    await once(server.listen(0, '127.0.0.1'), 'listening')
    return proxy
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  /** Connections stay, and new ones are taken, but nothing goes through: as a frozen machine, or a cable pulled. */
  silence(): void {
    this.state = 'silent'
  }

  /** Connections break off, and new ones do too. */
  cut(): void {
    this.state = 'cut'
    for (const socket of this.sockets) socket.destroy()
  }

  /** What was held back goes on its way. */
  repair(): void {
    this.state = 'open'
    for (const send of this.held.splice(0)) send()
  }

  async close(): Promise<void> {
    this.cut()
    const closed = once(this.server, 'close')
    this.server.close()
    await closed
  }

  private join(from: Socket, to: Socket): void {
    if (this.state === 'cut') {
      from.destroy()
      to.destroy()
      return
    }
    this.carry(from, to)
    this.carry(to, from)
  }

  private carry(from: Socket, to: Socket): void {
    this.sockets.add(from)
    from.on('data', (chunk) => this.pass(() => to.write(chunk)))
    from.on('error', () => to.destroy())
    from.on('close', () => {
      this.sockets.delete(from)
      this.pass(() => to.destroy())
    })
  }

  private pass(send: () => void): void {
    if (this.state === 'silent') this.held.push(send)
    else send()
  }
}
