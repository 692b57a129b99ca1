// init: a wallet, a session for it, and the ledger key that receipts are verified with.

import { Backend } from '../backend.js'
import type { Call } from '../command.js'
import { Context } from '../context.js'
import { openKeychain } from '../keychain.js'
import { logInWithToken, logInWithWallet } from '../login.js'
import { checkPin, fetchVkey, type Pin, readPin, writePin } from '../pin.js'
import { readSecret } from '../secret-input.js'
import { FileSecret, PreferredSecret } from '../secret-store.js'
import { saveSession, type StoredSession } from '../sessions.js'
import { newWalletKey, parseWalletKey } from '../wallet-key.js'

export async function run(call: Call): Promise<number> {
  const context = Context.of(call)
  context.home.make()
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

/** The key that is pinned stays: a broker that shows another one is refused before anything is sent to it. */
async function pinLedger(context: Context): Promise<Pin> {
  const given = context.text('ledger-vkey')
  const shown = await fetchVkey(context.home.url)
  const pinned = readPin(context.home)
  const expected =
    given === undefined
      ? pinned
      : { brokerUrl: context.home.url.href, vkey: given, pinnedAt: 'the command line' }
  if (expected) checkPin(expected, shown)
  if (pinned?.vkey === shown) return pinned
  const pin = writePin(context.home, shown, new Date())
  const how = given === undefined ? 'at first use: compare it with what the operator says' : 'as given'
  context.note(`ledger key of ${pin.brokerUrl} pinned ${how}: ${pin.vkey}`)
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
