import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import { expect, test } from '@jest/globals'

import { parseFlags } from '../../src/start/flags.js'
import { execForm, textOf } from './compose-file.js'

const dockerfile = textOf('Dockerfile')
const stages = dockerfile.split(/^(?=FROM )/m)
const stage = (name: string) => stages.find((text) => text.split('\n', 1)[0]?.endsWith(` AS ${name}`)) ?? ''

test('every base is pinned by its full tag, or a stage of this file', () => {
  const names = [...dockerfile.matchAll(/^FROM \S+ AS (\S+)$/gm)].map(([, name]) => name)
  const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, base = '']) => base)
  const outside = bases.filter((base) => !names.includes(base))
  expect([...new Set(outside)]).toEqual(['node:24.21.0-trixie-slim'])
})

test('what runs has neither compiler nor development dependencies, and is not root', () => {
  expect(stage('build')).toMatch(/npm run build[^]*npm prune --omit=dev/)
  expect(stage('runtime') + stage('broker')).not.toMatch(/apt-get|npm /)
  const users = [...stage('broker').matchAll(/^USER (.*)$/gm)].map(([, user]) => user)
  expect(users.at(-1)).toBe('1000:1000')
  expect(stage('runtime')).toMatch(/^USER 1000:1000$/m)
})

test('the image that is shipped is the last stage, and has no stand-in for AWS', () => {
  expect(stages.at(-1)).toBe(stage('broker'))
  expect(stage('runtime') + stage('broker')).not.toContain('local-aws')
})

test('the command is one the broker takes', () => {
  expect(parseFlags(execForm(dockerfile, 'CMD'))).toMatchObject({
    kind: 'run',
    flags: { bind: '0.0.0.0', port: 8091 },
  })
})

test('the build context holds what is built, and neither secrets nor history', () => {
  const lines = textOf('.dockerignore').split('\n')
  expect(lines).toContain('*')
  const admitted = lines.filter((line) => line.startsWith('!')).map((line) => line.slice(1))
  expect(admitted.sort()).toEqual(
    ['package-lock.json', 'package.json', 'src', 'tools', 'tsconfig.build.json', 'tsconfig.json'].sort(),
  )
  expect(textOf('deploy/.gitignore').split('\n')).toEqual(expect.arrayContaining(['secrets/', 'cluster.env']))
})

/** The exit code of the image's health check, asked of another port. */
async function healthOf(port: number): Promise<unknown> {
  const [, flag, script = ''] = execForm(dockerfile, 'CMD(?= \\["node", "-e")')
  expect([flag, script]).toEqual(['-e', expect.stringContaining(':8091/healthz')])
  const child = spawn(process.execPath, ['-e', script.replace(':8091', `:${port}`)])
  const [code] = (await once(child, 'close')) as unknown[]
  return code
}

test('the health check passes for 200, and fails for 503 and for a port where no one listens', async () => {
  let status = 200
  const server = createServer((_request, response) => response.writeHead(status).end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  expect(await healthOf(port)).toBe(0)
  status = 503
  expect(await healthOf(port)).toBe(1)
  server.close()
  server.closeAllConnections()
  await once(server, 'close')
  expect(await healthOf(port)).toBe(1)
})

test('nginx never repeats a mint, hides what is for the operator, and passes paths on as they came', () => {
  const conf = textOf('deploy/nginx.conf').replace(/#.*/g, '')
  expect(conf).toMatch(/server broker1:8091[^]*server broker2:8091/)
  expect(conf).toMatch(/proxy_next_upstream error timeout;/)
  expect(conf).not.toContain('non_idempotent')
  expect(conf).toMatch(/location = \/metrics +\{ return 404; \}/)
  expect(conf).toMatch(/location = \/readyz +\{ return 404; \}/)
  // A path after the upstream's name would make nginx decode and rewrite what was asked for.
  const passes = [...conf.matchAll(/proxy_pass (\S+);/g)].map(([, target]) => target)
  expect(passes.filter((target) => !/^http:\/\/[a-z]+$/.test(target ?? ''))).toEqual([])
  expect(conf).not.toMatch(/\$request_uri|\$args|\$http_authorization|proxy_cache/)
})
