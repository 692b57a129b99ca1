// init: a wallet, a session for it, and the ledger key that receipts are verified with.

import { join } from 'node:path'

import { Backend } from '../backend.js'
import type { Call } from '../command.js'
import { Context } from '../context.js'
import { shownVkey } from '../description.js'
import { withFileLock } from '../file-lock.js'
import { openKeychain } from '../keychain.js'
import { logInWithToken, logInWithWallet } from '../login.js'
import { checkPin, pinFirstUse, type Pin, readPin, writePin } from '../pin.js'
import { readSecret } from '../secret-input.js'
import { FileSecret, PreferredSecret } from '../secret-store.js'
import { saveSession, type StoredSession } from '../sessions.js'
import { newWalletKey, parseWalletKey } from '../wallet-key.js'

export async function run(call: Call): Promise<number> {
  const context = Context.of(call)
  context.home.make()
  // Two at once would each make a wallet key, and the session of one would be kept beside the key of the other.
  return withFileLock(join(context.home.folder, 'init.lock'), () => initialized(context))
}

async function initialized(context: Context): Promise<number> {
  const pin = await pinLedger(context)
  const session = await logIn(context, await Backend.of(context))
  const store = await saveSession(context.home, context.sessionId, session)
  const answer = {
    wallet: session.wallet,
    broker_url: context.home.url.href,
    session_id: context.sessionId,
    session_store: store,
    ledger_vkey: pin.vkey,
  }
  context.print(answer, `Initialized. Wallet: ${session.wallet}`)
  return 0
}

async function pinLedger(context: Context): Promise<Pin> {
  const { home } = context
  const vkey = context.text('ledger-vkey')
  const shown = await shownVkey(home.url)
  if (vkey !== undefined) checkPin({ brokerUrl: home.url.href, vkey, pinnedAt: 'the command line' }, shown)
  const pinned = readPin(home)
  // A key that the operator gave in person replaces the one of before; one that the broker merely shows does not.
  if (pinned && vkey === undefined) checkPin(pinned, shown)
  if (pinned?.vkey === shown) return pinned
  if (vkey === undefined) return pinFirstUse(home, (line) => context.note(line))
  const pin = writePin(home, vkey, new Date())
  context.note(`ledger key of ${pin.brokerUrl} pinned as given: ${pin.vkey}`)
  return pin
}

async function logIn(context: Context, backend: Backend): Promise<StoredSession> {
  const tokenFile = context.text('auth-token')
  if (tokenFile !== undefined) return logInWithToken(backend, await readSecret('--auth-token', tokenFile))
  return logInWithWallet(backend, await walletKey(context))
}

/** The given key, else the one that is kept, else a new one, which is kept before it is used. */
async function walletKey(context: Context): Promise<Uint8Array> {
  const { home } = context
  const store = new PreferredSecret(
    await openKeychain(`${home.url.host}${home.url.pathname}#wallet-key`),
    new FileSecret(home.walletKey),
  )
  const path = context.text('wallet-key-file')
  const kept = path === undefined ? await store.read() : await readSecret('--wallet-key-file', path)
  const hex = kept ?? newWalletKey()
  const key = parseWalletKey(hex, path ?? home.walletKey)
  await store.write(hex)
  return key
}
