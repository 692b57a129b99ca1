import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Below what any system hands out by itself (Linux from 32768 on). Each Jest worker has a range of its own: a port whose
 * broker was killed and is about to be started again must not be given to a test in another worker.
 */
const [FIRST, PORTS, RANGES] = [12_000, 1_000, 20]
const RANGE = FIRST + (Number(process.env['JEST_WORKER_ID'] ?? process.pid) % RANGES) * PORTS

/** Each test file of a worker begins behind the one before. */
let latest = Math.floor(performance.now()) % PORTS

/** A port that is free, for a process to be started or for one that is not to be there. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < PORTS; tries += 1) {
    latest = (latest + 1) % PORTS
    const port = RANGE + latest
    if (await isFree(port)) return port
  }
  throw new Error(`all ports from ${RANGE} to ${RANGE + PORTS - 1} are taken`)
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
