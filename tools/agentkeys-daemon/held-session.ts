// One session that the daemon serves: its credentials by role, and tokens.

import type { CredentialsAsk, JwtAsk } from '../client/broker-client.js'
import type { MintedJwt } from '../client/replies.js'
import type { Context } from '../agentkeys/context.js'
import { CredentialHolder } from '../agentkeys/credential-holder.js'
import { mintCredentials } from '../agentkeys/credentials.js'
import type { HeldCredentials } from '../agentkeys/held-credentials.js'
import { keepReceipt } from '../agentkeys/receipt-folder.js'
import { CliError } from '../agentkeys/report-error.js'

/** Roles and lifetimes that are asked for are few; a caller that invents them must not fill the memory. */
const MOST_HOLDERS = 64

export class HeldSession {
  private readonly holders = new Map<string, CredentialHolder>()

  constructor(readonly context: Context) {}

  credentials(ask: CredentialsAsk): Promise<HeldCredentials> {
    const name = JSON.stringify([ask.role, ask.durationSeconds])
    let holder = this.holders.get(name)
    if (!holder) {
      if (this.holders.size >= MOST_HOLDERS)
        return Promise.reject(
          new CliError('too many roles and lifetimes were asked for', 'restart agentkeys-daemon', 1),
        )
      holder = new CredentialHolder({
        mint: () => mintCredentials(this.context, ask),
        onRenewalFailed: ({ message }) => this.context.note(`credentials could not be renewed: ${message}`),
      })
      this.holders.set(name, holder)
    }
    return holder.get()
  }

  async token(ask: JwtAsk): Promise<MintedJwt> {
    const minted = await (await this.context.client()).mintJwt(ask)
    await keepReceipt(this.context.home, minted.jti, minted.ledger)
    return minted
  }
}
