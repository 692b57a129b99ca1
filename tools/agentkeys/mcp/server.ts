// The MCP server: lists the tools, runs them, and turns every failure into a result that the model can read.

import { McpServer } from '@modelcontextprotocol/server'
import { serveStdio } from '@modelcontextprotocol/server/stdio'

import { VERSION } from '../../../src/version.js'
import { ClientError } from '../../client/errors.js'
import type { Context } from '../context.js'
import { ProvisionError } from '../provision/provision-error.js'
import { CliError } from '../report-error.js'

import { AliasingTransport } from './aliasing-transport.js'
import { SECRET_TOOL, type Tool, TOOLS } from './tools.js'

export interface McpOptions {
  /** Several clients refuse a whole server for one dotted name, so the original's names are listed on request only. */
  names: 'underscore' | 'dotted'
  allowSecrets: boolean
}

/** Resolves when the client has closed its end. */
export function serveMcp(context: Context, { names, allowSecrets }: McpOptions): Promise<void> {
  const tools = allowSecrets ? [...TOOLS, SECRET_TOOL] : TOOLS
  const listed = (name: string) => (names === 'dotted' ? `agentkeys.${name}` : `agentkeys_${name}`)
  const aliases = new Map(
    tools.flatMap(({ name }) => [
      [`agentkeys.${name}`, listed(name)] as const,
      [`agentkeys_${name}`, listed(name)] as const,
    ]),
  )
  return new Promise((resolve) => {
    serveStdio(
      () => {
        const server = new McpServer(
          { name: 'agentkeys-mcp', version: VERSION },
          { capabilities: { tools: {} } },
        )
        for (const tool of tools) register(server, listed(tool.name), tool, context)
        server.server.onclose = resolve
        return server
      },
      { transport: new AliasingTransport(aliases) },
    )
  })
}

function register(server: McpServer, name: string, tool: Tool, context: Context): void {
  const { description, input, output, readOnly, run } = tool
  const config = {
    title: `agentkeys.${tool.name}`,
    description,
    inputSchema: input,
    outputSchema: output,
    annotations: { readOnlyHint: readOnly, destructiveHint: false, openWorldHint: !readOnly },
  }
  server.registerTool(name, config, async (args) => {
    try {
      const structuredContent = await run(context, args)
      return {
        content: [{ type: 'text' as const, text: JSON.stringify(structuredContent) }],
        structuredContent,
      }
    } catch (error) {
      const { code, message, remedy } = describe(error)
      const text = remedy === undefined ? message : `${message}. ${remedy}`
      return {
        content: [{ type: 'text' as const, text }],
        structuredContent: { code, message, remedy },
        isError: true,
      }
    }
  })
}

/** An error of our own says what to do. Any other stays inside: its message may quote what a model must not see. */
function describe(error: unknown): { code: string; message: string; remedy: string | undefined } {
  if (error instanceof ClientError) return { code: error.code, message: error.message, remedy: error.remedy }
  if (error instanceof CliError) return { code: 'FAILED', message: error.message, remedy: error.remedy }
  if (error instanceof ProvisionError) {
    const { code, message, explanation } = error
    return { code, message: `${message}: ${explanation.cause}`, remedy: explanation.fix }
  }
  if (error instanceof Error && error.name === 'UsageError')
    return { code: 'USAGE', message: error.message, remedy: undefined }
  return { code: 'INTERNAL', message: 'agentkeys failed', remedy: 'run agentkeys doctor in a terminal' }
}
