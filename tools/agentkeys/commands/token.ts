// token: a JWT for any relying party that trusts the broker as its OIDC issuer.

import type { JwtAsk } from '../../client/broker-client.js'
import type { MintedJwt } from '../../client/replies.js'
import { type Call, UsageError } from '../command.js'
import { Context } from '../context.js'
import { secondsOf } from '../mint-options.js'
import { keepReceipt } from '../receipt-folder.js'
import { formatToken, parseFormat, type TokenFormat } from '../token-forms.js'
import { audienceFor } from '../token-audiences.js'
import { keepFresh, writeToken } from '../token-file.js'

export async function run(call: Call): Promise<number> {
  const { values } = call
  const context = Context.of(call)
  const { ask, format } = readAsk(call)
  const mint = () => mintToken(context, ask)
  const path = values['write']
  if (typeof path !== 'string') {
    if (values['keep-fresh'] === true) throw new UsageError('--keep-fresh needs --write FILE')
    const text = formatToken(await mint(), format)
    process.stdout.write(process.stdout.isTTY && format === 'raw' ? `${text}\n` : text)
    return 0
  }
  const minted = await mint()
  await writeToken(path, minted, format)
  if (values['keep-fresh'] === true)
    await keepFresh(path, format, { mint, first: minted, note: (line) => context.note(line) })
  return 0
}

function readAsk({ values }: Call): { ask: JwtAsk; format: TokenFormat } {
  const { audience, for: party, role } = values
  if (typeof audience === 'string' && typeof party === 'string')
    throw new UsageError('--audience and --for both name the audience: give one of them')
  const known = typeof party === 'string' ? audienceFor(party) : undefined
  const wanted = typeof audience === 'string' ? audience : known?.audience
  const ttlSeconds = secondsOf(values, 'ttl')
  const format = parseFormat(values['format'] ?? known?.format ?? 'raw')
  const ask = {
    ...(wanted === undefined ? {} : { audience: wanted }),
    ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
    ...(typeof role === 'string' ? { role } : {}),
  }
  return { ask, format }
}

async function mintToken(context: Context, ask: JwtAsk): Promise<MintedJwt> {
  const client = await context.client()
  const minted = await client.mintJwt(ask)
  await keepReceipt(context.home, minted.jti, minted.ledger)
  return minted
}
