// stdio, with the original's tool names understood in calls whichever form is listed.

import type { JSONRPCMessage } from '@modelcontextprotocol/server'
import { StdioServerTransport } from '@modelcontextprotocol/server/stdio'

export class AliasingTransport extends StdioServerTransport {
  /** `aliases`: the listed name by each name that is understood. */
  constructor(private readonly aliases: ReadonlyMap<string, string>) {
    super()
  }

  override async start(): Promise<void> {
    const listener = this.onmessage
    if (listener)
      this.onmessage = (message: JSONRPCMessage) => {
        listener(this.renamed(message))
      }
    await super.start()
  }

  private renamed(message: JSONRPCMessage): JSONRPCMessage {
    if (!('method' in message) || message.method !== 'tools/call' || !message.params) return message
    const { name } = message.params as { name?: unknown }
    const listed = typeof name === 'string' ? this.aliases.get(name) : undefined
    return listed === undefined ? message : { ...message, params: { ...message.params, name: listed } }
  }
}
