// The OS keychain, through the optional package @napi-rs/keyring.

import type { SecretStore } from './secret-store.js'

const SERVICE = 'agentkeys'
/** A locked keychain may wait for a person; a command in the background must not. */
const TIMEOUT_MS = 2_000

interface Entry {
  getPassword(signal?: AbortSignal): Promise<string | undefined>
  setPassword(password: string, signal?: AbortSignal): Promise<void>
  deletePassword(signal?: AbortSignal): Promise<unknown>
}

interface Keyring {
  AsyncEntry: new (service: string, account: string, options?: object) => Entry
}

/**
 * The account in the keychain; undefined where the package is not installed or `AGENTKEYS_SESSION_STORE=file`. On Linux
 * it is the Secret Service and nothing else: the package's own fall-back, the kernel keyring, is empty after a reboot.
 */
export async function openKeychain(
  account: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<SecretStore | undefined> {
  if (env['AGENTKEYS_SESSION_STORE'] === 'file') return undefined
  // Without a session bus there is no Secret Service to ask.
  if (process.platform === 'linux' && !env['DBUS_SESSION_BUS_ADDRESS']) return undefined
  const keyring = await load()
  if (!keyring) return undefined
  const entry = new keyring.AsyncEntry(SERVICE, account, { linux: { store: 'secret-service' } })
  const bounded = () => AbortSignal.timeout(TIMEOUT_MS)
  return {
    kind: 'keychain',
    read: async () => (await within(entry.getPassword(bounded()))) ?? undefined,
    write: (secret) => within(entry.setPassword(secret, bounded())),
    remove: async () => void (await within(entry.deletePassword(bounded()))),
  }
}

async function load(): Promise<Keyring | undefined> {
  const name = '@napi-rs/keyring'
  try {
    return (await import(name)) as Keyring
  } catch {
    return undefined
  }
}

/** The package's signal does not reach a keychain that blocks inside the native call. */
async function within<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the keychain does not answer')), TIMEOUT_MS)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
