import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Below what any system hands out by itself (Linux from 32768 on): what listens at port 0 in another test at this moment,
 * or connects from there, is never given the port between our look and the start of the process that it is for.
 */
const [FIRST, PORTS] = [12_000, 20_000]

/** Each process that runs tests begins elsewhere, and each of its test files behind the one before. */
let latest = (process.pid * 389 + Math.floor(performance.now())) % PORTS

/** A port that nobody listens at, for a process to be started or for one that is not to be there. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < PORTS; tries += 1) {
    latest = (latest + 1) % PORTS
    // Others ask while we look, and are told the ports after this one.
    const port = FIRST + latest
    if (await isFree(port)) return port
  }
  throw new Error(`all ports from ${FIRST} to ${FIRST + PORTS - 1} are taken`)
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false
    throw error
  }
  server.close()
  await once(server, 'close')
  return true
}
