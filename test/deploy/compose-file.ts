// The compose files and the Dockerfile at the root of the project, as parsed data.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { parse } from 'yaml'

import { readConfig } from '../../src/config.js'
import { parseFlags } from '../../src/start/flags.js'

/** From dist/test/deploy. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

export interface Service {
  image: string
  build?: { context: string; target: string }
  entrypoint?: string[]
  command?: string[]
  env_file?: string[]
  environment?: Record<string, string>
  ports?: string[]
  volumes?: (string | Bind)[]
  networks?: string[] | Record<string, { ipv4_address?: string }>
  network_mode?: string
  profiles?: string[]
  restart?: string
  read_only?: boolean
  security_opt?: string[]
  cap_drop?: string[]
  logging?: { options: Record<string, string> }
  healthcheck?: { test: string[] }
  depends_on?: Record<string, { condition: string }>
  stop_grace_period?: string
}

export interface Bind {
  type: string
  source: string
  target: string
  read_only?: boolean
}

export interface ComposeFile {
  services: Record<string, Service>
  networks?: Record<string, { internal?: boolean }>
  volumes?: Record<string, null>
}

export function composeFile(name: string): ComposeFile {
  return parse(textOf(name), { merge: true }) as ComposeFile
}

export function textOf(name: string): string {
  return readFileSync(join(ROOT, name), 'utf8')
}

/** Lines `NAME=value`; comments and empty lines are skipped. */
export function envFile(text: string): Record<string, string> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.indexOf('=')
      return [line.slice(0, at), line.slice(at + 1)]
    }),
  )
}

/** The exec form of an instruction in the stage that is last: `CMD ["a", "b"]`. */
export function execForm(dockerfile: string, instruction: string): string[] {
  const found = [...dockerfile.matchAll(new RegExp(`^\\s*${instruction} (\\[.*\\])$`, 'gm'))].at(-1)
  if (!found?.[1]) throw new Error(`no ${instruction} in exec form`)
  return JSON.parse(found[1]) as string[]
}

/** What the broker makes of a service's environment and command; HOME as the image's user has it. */
export function configOf({ environment, command }: Service, more: Record<string, string> = {}) {
  const line = parseFlags(command ?? execForm(textOf('Dockerfile'), 'CMD'))
  if (line.kind !== 'run') throw new Error(`the command is ${JSON.stringify(line)}`)
  const image = { HOME: '/home/node', BROKER_DATA_DIR: '/var/lib/agentkeys' }
  const reading = readConfig({ ...image, ...more, ...environment }, line.flags)
  if (!('config' in reading)) throw new Error(reading.problems.join('\n'))
  return reading.config
}

export function service(name: string, key: string): Service {
  const found = composeFile(name).services[key]
  if (!found) throw new Error(`${name} has no service ${key}`)
  return found
}
