// Of several nodes the client says only that it found none. Whether that is for a mistake in TLS, which no retry repairs,
// is found out here: by a handshake with each of them, as the client would make it, and nothing after it.

import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { connect, type ConnectionOptions } from 'node:tls'

import { StoreError } from '../event-store.js'
import type { Address, Host, TlsFiles } from './address.js'
import { readFailure } from './errors.js'

/** How long a node may take for a handshake. One that is silent has made no mistake. */
const WITHIN_MS = 3_000

/** `error`, or the first node's mistake in TLS where finding the nodes failed for one. */
export async function diagnoseTlsFailure(error: unknown, { hosts, tls }: Address): Promise<unknown> {
  const notFound = error instanceof StoreError && error.message.includes('Failed to discover')
  if (!notFound || !tls) return error
  const failures = await Promise.all(hosts.map((host) => handshakeFailure(host, tls)))
  return failures.map((failure) => failure && readFailure(failure)).find(isRefusal) ?? error
}

/** A node that cannot be reached is no mistake, and is asked again. */
const isRefusal = (failure: StoreError | undefined) => failure?.code === 'refused'

/** What went wrong; undefined when nothing did. */
function handshakeFailure({ name, port }: Host, files: TlsFiles): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: name, port, timeout: WITHIN_MS, ...identity(name), ...read(files) })
    const end = (failure?: Error) => {
      socket.destroy()
      resolve(failure && new Error(`${name}:${port}: ${failure.message}`, { cause: failure }))
    }
    socket.once('secureConnect', () => end())
    socket.once('timeout', () => end())
    // Not once: errors after the socket's end are ignored.
    socket.on('error', end)
  })
}

/** Certificates are made out to a name or to an address, and an address is not asked for by name (RFC 6066). */
function identity(name: string): ConnectionOptions {
  return { ALPNProtocols: ['h2'], ...(isIP(name) ? {} : { servername: name }) }
}

function read({ ca, certificate, key }: TlsFiles): ConnectionOptions {
  return {
    ...(ca === undefined ? {} : { ca: readFileSync(ca) }),
    ...(certificate === undefined ? {} : { cert: readFileSync(certificate) }),
    ...(key === undefined ? {} : { key: readFileSync(key) }),
  }
}
