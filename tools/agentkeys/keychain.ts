// The OS keychain, through the optional package @napi-rs/keyring in a process of its own: the package waits for the
// keychain inside native calls, some of them on the main thread, and only a process can be ended in there.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import type { SecretStore } from './secret-store.js'

const PROGRAM = fileURLToPath(new URL('./keychain-access.js', import.meta.url))

/** A locked keychain may wait for a person; a command in the background must not. */
const TIMEOUT_MS = 2_000

/** One that did not answer is not asked again: each further wait would be as long. */
let answers = true

/**
 * The account in the keychain; undefined where there is none to ask, the package is not installed, or
 * `AGENTKEYS_SESSION_STORE=file`.
 */
export function openKeychain(
  account: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<SecretStore | undefined> {
  return Promise.resolve(isThere(env) ? keychain(account) : undefined)
}

function isThere(env: NodeJS.ProcessEnv): boolean {
  if (!answers || env['AGENTKEYS_SESSION_STORE'] === 'file') return false
  // Without a session bus there is no Secret Service to ask.
  if (process.platform === 'linux' && !env['DBUS_SESSION_BUS_ADDRESS']) return false
  try {
    import.meta.resolve('@napi-rs/keyring')
    return true
  } catch {
    return false
  }
}

function keychain(account: string): SecretStore {
  return {
    kind: 'keychain',
    read: async () => (await access('read', account)) || undefined,
    write: async (secret) => void (await access('write', account, secret)),
    remove: async () => void (await access('remove', account)),
  }
}

/** What the program prints. The secret goes by stdin: arguments are seen by every user of a machine. */
async function access(operation: string, account: string, secret = ''): Promise<string> {
  if (!answers) throw new Error('the keychain did not answer')
  const child = spawn(process.execPath, [PROGRAM, operation, account], { stdio: ['pipe', 'pipe', 'ignore'] })
  let timer: NodeJS.Timeout | undefined
  let text = ''
  // Its first byte says that it has started, which takes long on a busy machine.
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    timer ??= setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS)
    text += chunk
  })
  child.stdin.on('error', () => undefined)
  child.stdin.end(secret)
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  clearTimeout(timer)
  answers = signal === null
  if (code !== 0) throw new Error('the keychain does not answer')
  return text.slice(1)
}
