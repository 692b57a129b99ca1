// A secret from a file or from stdin. Never from the arguments: every user of the machine sees those.

import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'

import { CliError } from './report-error.js'

/** `-` is stdin. One line feed at the end is not part of the secret. Rejects with CliError. */
export async function readSecret(option: string, path: string): Promise<string> {
  const content = path === '-' ? await text(process.stdin) : fromFile(option, path)
  const secret = content.replace(/\r?\n$/, '')
  if (secret !== '') return secret
  throw new CliError(`${option}: ${path === '-' ? 'stdin' : path} is empty`, 'put the secret there', 1)
}

function fromFile(option: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new CliError(`${option}: ${path} cannot be read (${code})`, 'check the path and its mode', 3, {
      cause: error,
    })
  }
}
