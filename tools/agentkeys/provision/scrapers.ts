// Which program gets a key from which service. echo-service ships, to show the contract; others are named in
// scrapers.json in the home folder.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { homeDir } from '../home.js'
import { CliError } from '../report-error.js'

import { ProvisionError } from './provision-error.js'

const ECHO = fileURLToPath(new URL('./echo-service.js', import.meta.url))

/** The command line of the scraper. Throws ProvisionError when the service has none. */
export function scraperFor(service: string): readonly string[] {
  const known: Readonly<Record<string, readonly string[]>> = {
    ...configured(),
    'echo-service': [process.execPath, ECHO],
  }
  const command = Object.hasOwn(known, service) ? known[service] : undefined
  if (command) return command
  throw new ProvisionError('SERVICE_NOT_SUPPORTED', {
    problem: `there is no scraper for ${service}`,
    cause: `known are ${Object.keys(known).sort().join(', ')}`,
    fix: `add one to ${join(homeDir(), 'scrapers.json')}`,
  })
}

/** `{"openrouter": ["node", "/path/openrouter.js"]}` */
function configured(): Record<string, readonly string[]> {
  const path = join(homeDir(), 'scrapers.json')
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
  const commands = parsed(text)
  if (commands) return commands
  throw new CliError(`${path} is malformed`, 'it must be {"SERVICE": ["COMMAND", "ARGUMENT", …], …}', 1)
}

function parsed(text: string): Record<string, readonly string[]> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    const commands = Object.values(value)
    const good = commands.every(
      (one) => Array.isArray(one) && one.length > 0 && one.every((word) => typeof word === 'string'),
    )
    return good ? (value as Record<string, readonly string[]>) : undefined
  } catch {
    return undefined
  }
}
