// The append path alone: what a mint records, through the sequencer into the embedded store, by as many callers as the
// load has connections.

import { hash } from 'node:crypto'

import type { LedgerEvent } from '../../src/domain/ledger/events.js'
import { MintIds } from '../../src/ledger/mint-ids.js'
import { bareAppender } from './bare-appender.js'
import { answerOrders } from './child.js'

export interface AppendOrder {
  path: string
  callers: number
  seconds: number
}

export interface AppendResult {
  entries: number
  seconds: number
}

const now = () => new Date()

async function append({ path, callers, seconds }: AppendOrder): Promise<AppendResult> {
  const { sequencer, close } = bareAppender(path, 'signed')
  const ids = new MintIds()
  const from = sequencer.size
  const started = performance.now()
  const caller = async (wallet: string) => {
    while (performance.now() - started < seconds * 1000)
      await sequencer.append(mintOf(wallet, ids.next(now())))
  }
  await Promise.all(
    Array.from({ length: callers }, (_, i) => caller(`0x${sha256(`wallet ${i}`).slice(0, 40)}`)),
  )
  const result = { entries: sequencer.size - from, seconds: (performance.now() - started) / 1000 }
  await close()
  return result
}

/** The two entries of a JWT, as large as real ones. */
function mintOf(wallet: string, mintId: string): LedgerEvent[] {
  const iat = Math.floor(Date.now() / 1000)
  const issued = { kid: 'v1-1795000000', purpose: 'oidc_jwt', aud: 'sts.amazonaws.com' } as const
  const claims = { sub: `agentkeys:agent:${wallet}`, iat, exp: iat + 300 }
  return [
    { type: 'SessionValidated', data: { mintId, wallet, tokenSha256: SOME_HASH, backend: 'embedded' } },
    { type: 'JwtIssued', data: { mintId, wallet, ...issued, ...claims, signingInputSha256: SOME_HASH } },
  ]
}

const SOME_HASH = sha256('a token')

function sha256(text: string): string {
  return hash('sha256', text)
}

answerOrders(append)
