// A caller that sends and never reads: replies pile up at the other side.

import { connect, type Socket } from 'node:net'

export interface UnreadConnection {
  /** Bytes handed to the system so far. */
  sent: () => number
  ended: () => boolean
  close(): void
}

/** Sends `request` over and over, for as long as the other side takes it, `times` at most. */
export function neverReading(url: string, request: string | Buffer, times = Infinity): UnreadConnection {
  const { hostname, port } = new URL(url)
  const socket: Socket = connect(Number(port), hostname)
  const batch = Math.min(times, 500)
  const many = Buffer.concat(Array.from({ length: batch }, () => Buffer.from(request)))
  let ended = false
  let left = times
  socket.pause()
  socket.on('error', () => undefined)
  socket.on('close', () => (ended = true))
  const send = () => {
    while (left > 0 && !ended) {
      left -= batch
      if (!socket.write(many)) return void socket.once('drain', send)
    }
  }
  send()
  return { sent: () => socket.bytesWritten, ended: () => ended, close: () => socket.destroy() }
}
