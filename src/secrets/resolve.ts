// Secret references become values: once, at a start, before the configuration is read. process.env keeps the references.

import { closeSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

import { PrivateFileError, readPrivateFile } from '../storage/private-file.js'
import { MAX_SECRET_BYTES, opRead } from './op-read.js'
import { SecretError } from './secret-error.js'

/** All of them, or a SecretError that names the variable. Each reference is asked for once, one after the other. */
export async function resolveSecrets(
  references: ReadonlyMap<string, string>,
): Promise<Record<string, string>> {
  const values = new Map<string, string>()
  const resolved: Record<string, string> = {}
  for (const [name, reference] of references) {
    try {
      const value = values.get(reference) ?? oneLine(await read(reference))
      values.set(reference, value)
      resolved[name] = value
    } catch (error) {
      const { kind, message } = asSecretError(error)
      throw new SecretError(kind, `${name}: ${message}`)
    }
  }
  return resolved
}

async function read(reference: string): Promise<string> {
  if (reference.startsWith('op://')) return opRead(reference)
  const rest = reference.slice(reference.indexOf(':') + 1)
  return reference.startsWith('file:') ? readFile(rest) : readCredential(rest)
}

function readFile(path: string): string {
  // A pipe would be waited for without end.
  const found = statSync(path, { throwIfNoEntry: false })
  if (found && (!found.isFile() || found.size > MAX_SECRET_BYTES))
    throw new SecretError('permanent', `${path} is no regular file of at most 64 KiB`)
  const text = readPrivateFile(path)
  if (text === undefined) throw new SecretError('permanent', `there is no file ${path}`)
  return text
}

/** Of systemd's LoadCredential=. Its folder is for the service alone, whatever the modes in it seem to say. */
function readCredential(name: string): string {
  const { CREDENTIALS_DIRECTORY: folder } = process.env
  if (!folder)
    throw new SecretError(
      'permanent',
      'CREDENTIALS_DIRECTORY is not set: cred: is for a systemd unit with LoadCredential=',
    )
  if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(name))
    throw new SecretError(
      'permanent',
      'cred: takes the name of a credential: letters, digits, dots, dashes, underscores',
    )
  const path = join(folder, name)
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found?.isFile())
    throw new SecretError('permanent', `the unit has no credential ${name}: add LoadCredential=`)
  const file = openSync(path, 'r')
  try {
    if (fstatSync(file).size > MAX_SECRET_BYTES)
      throw new SecretError('permanent', `the credential ${name} is longer than 64 KiB`)
    return readFileSync(file, 'utf8')
  } finally {
    closeSync(file)
  }
}

/** The line break at the end is the editor's. Any other one is a warning on standard output, or no secret of ours. */
function oneLine(text: string): string {
  const value = text.replace(/\r?\n$/, '')
  if (value === '') throw new SecretError('permanent', 'the value is empty')
  if (/[\r\n]/.test(value))
    throw new SecretError(
      'permanent',
      'the value has a line break: a warning on standard output, or the wrong field',
    )
  if (/\p{Cc}|\ufffd/u.test(value))
    throw new SecretError('permanent', 'the value has control characters, or is no text')
  return value
}

function asSecretError(error: unknown): SecretError {
  if (error instanceof SecretError) return error
  if (error instanceof PrivateFileError) return new SecretError('permanent', error.message)
  return new SecretError(
    'permanent',
    `it cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`,
  )
}
