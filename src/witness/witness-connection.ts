// HTTP to one witness: a POST at a time, bounded in time and in size, and never redirected.

import { Agent } from 'undici'

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

/** A witness answers with a few signature lines; one with a post-quantum key takes 3.3 kB for each. */
const MAX_BODY_BYTES = 64 * 1024

export class WitnessConnection {
  private readonly target: URL
  private agent: Agent

  /** `prefix` is the witness's submission prefix. */
  constructor(
    prefix: string,
    private readonly timeoutMs: number,
  ) {
    this.target = new URL(`${prefix.replace(/\/+$/, '')}/add-checkpoint`)
    this.agent = this.newAgent()
  }

  /**
   * One deadline over all of it, as a race: the client looks at an abort only after a pending connect has ended. What
   * failed takes its connection with it, so that a request given up on is not under way beside the next one.
   */
  async post(body: string): Promise<WitnessAnswer> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new WitnessUnreachable(`no answer within ${this.timeoutMs} ms`)),
        this.timeoutMs,
      )
    })
    try {
      return await Promise.race([this.exchange(body), late])
    } catch (error) {
      drop(this.agent)
      this.agent = this.newAgent()
      throw error instanceof WitnessUnreachable ? error : new WitnessUnreachable(describe(error))
    } finally {
      clearTimeout(timer)
    }
  }

  async close(): Promise<void> {
    await this.agent.destroy()
  }

  private async exchange(body: string): Promise<WitnessAnswer> {
    const { origin, pathname: path } = this.target
    const headers = { 'content-type': 'text/plain; charset=utf-8' }
    const response = await this.agent.request({ origin, path, method: 'POST', headers, body })
    return {
      status: response.statusCode,
      mediaType: header(response.headers['content-type']).split(';', 1)[0]?.trim().toLowerCase() ?? '',
      retryAfter: header(response.headers['retry-after']),
      body: new Uint8Array(await response.body.arrayBuffer()),
    }
  }

  private newAgent(): Agent {
    return new Agent({
      connections: 1,
      connect: { timeout: this.timeoutMs },
      headersTimeout: this.timeoutMs,
      bodyTimeout: this.timeoutMs,
      maxResponseSize: MAX_BODY_BYTES,
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
