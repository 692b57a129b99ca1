// What registries and desktop clients read of the MCP server agrees with the package and with what the server lists.

import { existsSync, readFileSync } from 'node:fs'

import { expect, test } from '@jest/globals'

import { TOOLS } from '../../tools/agentkeys/mcp/tools.js'

const read = <T>(path: string) => JSON.parse(readFileSync(path, 'utf8')) as T

interface Package {
  name: string
  version: string
  mcpName: string
  license: string
  engines: { node: string }
  bin: Record<string, string>
}

interface Server {
  name: string
  version: string
  description: string
  packages: { identifier: string; version: string; environmentVariables: { isSecret: boolean }[] }[]
}

interface Manifest {
  version: string
  license: string
  server: { entry_point: string; mcp_config: { args: string[]; env: Record<string, string> } }
  tools: { name: string }[]
  user_config: Record<string, { sensitive?: boolean }>
  compatibility: { runtimes: { node: string } }
}

const own = read<Package>('package.json')

test('server.json is that of the package: the registry compares mcpName', () => {
  const server = read<Server>('server.json')
  expect([server.name, server.version]).toEqual([own.mcpName, own.version])
  expect(server.description.length).toBeLessThanOrEqual(100)
  const [npm] = server.packages
  expect([npm?.identifier, npm?.version]).toEqual([own.name, own.version])
  expect(npm?.environmentVariables.map(({ isSecret }) => isSecret)).toEqual([false])
})

test('the bundle starts the program of the package, and asks for no secret', () => {
  const {
    version,
    license,
    server,
    user_config: asked,
    compatibility,
  } = read<Manifest>('deploy/mcpb/manifest.json')
  expect([version, license, compatibility.runtimes.node]).toEqual([
    own.version,
    own.license,
    own.engines.node,
  ])
  expect(server.entry_point).toBe(own.bin['agentkeys'])
  expect(existsSync(server.entry_point)).toBe(true)
  expect(server.mcp_config.args).toEqual([`\${__dirname}/${server.entry_point}`, 'mcp'])
  const used = Object.values(server.mcp_config.env).map(
    (value) => /^\$\{user_config\.(\w+)\}$/.exec(value)?.[1],
  )
  expect(used).toEqual(Object.keys(asked))
  expect(Object.values(asked).some(({ sensitive }) => sensitive)).toBe(false)
})

test('the bundle lists the tools that the server lists', () => {
  const { tools } = read<Manifest>('deploy/mcpb/manifest.json')
  expect(tools.map(({ name }) => name)).toEqual(TOOLS.map(({ name }) => `agentkeys_${name}`))
})
