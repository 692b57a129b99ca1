// HTTP to one witness: a request at a time, bounded in time and in size, and never redirected.

import { createHash } from 'node:crypto'

import { Agent } from 'undici'

import { deadline } from '../deadline.js'
import { boundedBody } from '../remote/bounded-reply.js'

export interface WitnessAnswer {
  status: number
  /** Lower case, without parameters. Empty if there is none. */
  mediaType: string
  retryAfter: string
  body: Uint8Array
}

/** No answer, or none that could be read to its end. The message holds nothing that the other side sent. */
export class WitnessUnreachable extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'WitnessUnreachable'
  }
}

interface Request {
  method: 'GET' | 'POST'
  /** Below the witness's submission prefix. */
  path: string
  headers?: Record<string, string>
  body?: string
}

export class WitnessConnection {
  private readonly prefix: URL
  private agent: Agent

  /** `prefix` is the witness's submission prefix. */
  constructor(
    prefix: string,
    private readonly timeoutMs: number,
  ) {
    this.prefix = new URL(`${prefix.replace(/\/+$/, '')}/`)
    this.agent = this.newAgent()
  }

  post(body: string): Promise<WitnessAnswer> {
    const headers = { 'content-type': 'text/plain; charset=utf-8' }
    return this.request({ method: 'POST', path: 'add-checkpoint', headers, body })
  }

  /** What it shows to everybody of a log: the last checkpoint it cosigned. Not every witness has it. */
  read(origin: string): Promise<WitnessAnswer> {
    const name = createHash('sha256').update(origin).digest('hex')
    return this.request({ method: 'GET', path: `${name}/checkpoint` })
  }

  /** The next request goes over a connection of its own: whatever stood between is passed again. */
  renew(): void {
    drop(this.agent)
    this.agent = this.newAgent()
  }

  async close(): Promise<void> {
    await this.agent.destroy()
  }

  /**
   * One deadline over all of it, as a race: the client looks at an abort only after a pending connect has ended. What
   * failed takes its connection with it, so that a request given up on is not under way beside the next one.
   */
  private async request(what: Request): Promise<WitnessAnswer> {
    const late = () => new WitnessUnreachable(`no answer within ${this.timeoutMs} ms`)
    try {
      return await deadline(this.timeoutMs, this.exchange(what), late)
    } catch (error) {
      this.renew()
      throw error instanceof WitnessUnreachable ? error : new WitnessUnreachable(describe(error))
    }
  }

  private async exchange({ path: below, ...what }: Request): Promise<WitnessAnswer> {
    const { origin, pathname: path } = new URL(below, this.prefix)
    const response = await this.agent.request({ origin, path, ...what })
    return {
      status: response.statusCode,
      mediaType: header(response.headers['content-type']).split(';', 1)[0]?.trim().toLowerCase() ?? '',
      retryAfter: header(response.headers['retry-after']),
      body: await boundedBody(response.body),
    }
  }

  private newAgent(): Agent {
    return new Agent({
      connections: 1,
      connect: { timeout: this.timeoutMs },
      headersTimeout: this.timeoutMs,
      bodyTimeout: this.timeoutMs,
    })
  }
}

/** Not waited for: a connect that hangs would hold up the answer that there is none. */
function drop(agent: Agent): void {
  agent.destroy().catch(() => undefined)
}

function header(value: string | string[] | undefined): string {
  return typeof value === 'string' ? value : ''
}

/** An error's code is a constant; its message may hold bytes the other side sent. */
function describe(error: unknown): string {
  const { code } = error as { code?: unknown }
  const known = typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,63}$/.test(code)
  return known ? `the request failed (${code})` : 'the request failed'
}
