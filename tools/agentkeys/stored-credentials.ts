// Credentials of services, stored at the session backend for the session's wallet or for an agent of it.

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'

import { Backend } from './backend.js'
import { UsageError } from './command.js'
import type { Context } from './context.js'
import { openKeychain } from './keychain.js'
import { CliError } from './report-error.js'
import { FileSecret, PreferredSecret } from './secret-store.js'
import { decrypt, encrypt } from './vault.js'

/** A service is part of a URL and of variable names. Throws UsageError. */
export function parseService(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) return text
  throw new UsageError(
    `${JSON.stringify(text)} is no service: letters, digits, dot, dash, underscore, at most 64`,
  )
}

export class StoredCredentials {
  private constructor(
    private readonly context: Context,
    readonly backend: Backend,
    private readonly bearer: string,
    /** Whose credentials: a wallet. */
    readonly agent: string,
  ) {}

  /** `agent`: a wallet, an alias or an e-mail address; undefined: the session's own wallet. */
  static async open(context: Context, agent: string | undefined): Promise<StoredCredentials> {
    const { token } = await context.requireSession()
    const backend = await Backend.of(context)
    const wallet =
      agent === undefined ? await ownWallet(backend, token) : await resolve(backend, token, agent)
    return new StoredCredentials(context, backend, token, wallet)
  }

  async store(service: string, secret: string): Promise<void> {
    const ciphertext = encrypt(secret, await vaultKey(this.context), { wallet: this.agent, service })
    await this.backend.ask({
      method: 'POST',
      path: 'credential/store',
      bearer: this.bearer,
      body: { agent_id: this.agent, service, ciphertext },
    })
  }

  async read(service: string): Promise<string> {
    const query = new URLSearchParams({ agent_id: this.agent, service })
    const { ciphertext } = await this.get(`credential/read?${query.toString()}`)
    if (typeof ciphertext !== 'string') throw unexpected('ciphertext')
    return decrypt(ciphertext, await vaultKey(this.context), { wallet: this.agent, service })
  }

  async list(): Promise<string[]> {
    const query = new URLSearchParams({ agent_id: this.agent })
    const { services } = await this.get(`credential/list?${query.toString()}`)
    if (!isTexts(services)) throw unexpected('services')
    return services
  }

  private get(path: string): Promise<Record<string, unknown>> {
    return this.backend.ask({ method: 'GET', path, bearer: this.bearer })
  }
}

/** The wallet that the backend knows the bearer by: the one in our file could be out of date. */
export async function ownWallet(backend: Backend, bearer: string): Promise<string> {
  const { wallet } = await backend.ask({ method: 'GET', path: 'session/validate', bearer })
  if (typeof wallet !== 'string') throw unexpected('wallet')
  return wallet
}

export async function resolve(backend: Backend, bearer: string, agent: string): Promise<string> {
  if (/^0x[0-9a-fA-F]{40}$/.test(agent)) return agent.toLowerCase()
  const query = new URLSearchParams({
    identity_type: agent.includes('@') ? 'email' : 'alias',
    identity_value: agent,
  })
  const { wallet_address: wallet } = await backend.ask({
    method: 'GET',
    path: `identity/resolve?${query.toString()}`,
    bearer,
  })
  if (typeof wallet !== 'string') throw unexpected('wallet_address')
  return wallet
}

/** 32 bytes, made at first use: what every stored credential of this broker is encrypted under. */
async function vaultKey({ home }: Context): Promise<Uint8Array> {
  const path = join(home.folder, 'vault-key')
  home.make()
  const keychain = await openKeychain(`${home.url.host}${home.url.pathname}#vault-key`)
  const store = new PreferredSecret(keychain, new FileSecret(path))
  const kept = await store.read()
  if (kept === undefined) await store.write(randomBytes(32).toString('hex'))
  // Read back, so that two processes that make one at the same moment go on with the same one.
  const hex = kept ?? (await store.read()) ?? ''
  if (/^[0-9a-f]{64}$/.test(hex.trim())) return Buffer.from(hex.trim(), 'hex')
  throw new CliError(`${path} holds no vault key`, 'restore it from its backup', 1)
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

function unexpected(member: string): CliError {
  return new CliError(`unexpected reply of the session backend: ${member} is missing`, 'check --backend')
}
