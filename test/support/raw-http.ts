// HTTP as bytes on a socket: for requests that no client library would send.

import { connect } from 'node:net'

export interface RawReply {
  /** 0: the connection ended without an answer. */
  status: number
  head: string
  body: string
}

/** Sends `bytes` and reads to the end of the connection: the request should ask for that, or be refused. */
export function sendRaw(url: string, bytes: string | Buffer): Promise<RawReply> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname)
    let text = ''
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
    // A reset after the answer, because we were still sending, takes nothing from the answer.
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(parse(text)))
    socket.write(bytes)
  })
}

/** A request in one piece, on a connection of its own. Header lines are sent as they stand. */
export function rawRequest(line: string, headers: readonly string[] = [], body = ''): Buffer {
  const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]
  const host = headers.some((header) => /^host:/i.test(header)) ? [] : ['Host: broker.test']
  const head = [`${line} HTTP/1.1`, ...host, 'Connection: close', ...headers, ...length].join('\r\n')
  return Buffer.concat([Buffer.from(`${head}\r\n\r\n`, 'latin1'), Buffer.from(body)])
}

function parse(text: string): RawReply {
  const end = text.indexOf('\r\n\r\n')
  const head = end === -1 ? text : text.slice(0, end)
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0)
  return { status, head, body: end === -1 ? '' : text.slice(end + 4) }
}
