// The sessions of one broker: which there are, and the bearer of one. The original's files are read when it has none.

import { join } from 'node:path'

import { parsePrivateJson, readPrivateFile } from '../../src/storage/private-file.js'

import { UsageError } from './command.js'
import type { BrokerHome } from './home.js'
import type { SecretStore, StoreKind } from './secret-store.js'

export interface StoredSession {
  token: string
  wallet: string
  /** Unix seconds; 0 in files of the original. */
  createdAt: number
}

export type SessionPlace = StoreKind | 'environment' | 'option' | 'original'

export interface FoundSession extends StoredSession {
  place: SessionPlace
}

export const DEFAULT_ID = 'master'

/** A session id is part of a file name. Throws UsageError. */
export function parseSessionId(id: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(id)) return id
  throw new UsageError(
    '--session-id: use letters, digits, dot, dash and underscore, at most 128, not a dot first',
  )
}

/** Where the session `id` of this broker lies. What it is made of is loaded when a file does not answer. */
async function sessionStore(home: BrokerHome, id: string): Promise<SecretStore> {
  const [{ openKeychain }, { FileSecret, PreferredSecret }] = await Promise.all([
    import('./keychain.js'),
    import('./secret-store.js'),
  ])
  const account = `${home.url.host}${home.url.pathname}#${id}`
  return new PreferredSecret(await openKeychain(account), new FileSecret(home.session(id)))
}

export async function saveSession(home: BrokerHome, id: string, session: StoredSession): Promise<StoreKind> {
  home.make()
  const store = await sessionStore(home, id)
  const { token, wallet, createdAt } = session
  await store.write(JSON.stringify({ token, wallet, created_at: createdAt }))
  return store.kind
}

/** The stored session, if any. Throws PrivateFileError for a file that others can read. */
export async function findSession(home: BrokerHome, id: string): Promise<FoundSession | undefined> {
  // As PreferredSecret reads: a file that is there was written when the keychain would not.
  const written = readPrivateFile(home.session(id))
  if (written !== undefined) return { ...parseSession(home.session(id), written), place: 'file' }
  const store = await sessionStore(home, id)
  const text = await store.read()
  if (text !== undefined) return { ...parseSession(home.session(id), text), place: store.kind }
  return originalSession(home.root, id)
}

export async function removeSession(home: BrokerHome, id: string): Promise<void> {
  await (await sessionStore(home, id)).remove()
}

/** ~/.agentkeys/<id>/session.json, and before it ~/.agentkeys/session.json. */
function originalSession(root: string, id: string): FoundSession | undefined {
  const paths = [join(root, id, 'session.json'), ...(id === DEFAULT_ID ? [join(root, 'session.json')] : [])]
  for (const path of paths) {
    const text = readPrivateFile(path)
    if (text !== undefined) return { ...parseSession(path, text), place: 'original' }
  }
  return undefined
}

function parseSession(path: string, text: string): StoredSession {
  const { token, wallet, created_at: createdAt } = parsePrivateJson(path, text)
  return {
    token: typeof token === 'string' ? token : '',
    wallet: typeof wallet === 'string' ? wallet : '',
    createdAt: typeof createdAt === 'number' ? createdAt : 0,
  }
}
