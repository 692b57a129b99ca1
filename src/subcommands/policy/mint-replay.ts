// Puts together, from the entries of a mint, what a policy would have been asked.

import { STS_AUDIENCE } from '../../domain/ledger/audience.js'
import type { Entry } from '../../domain/ledger/entry.js'
import { isEventType, schemaProblem } from '../../domain/ledger/event-schemas.js'
import type { EventOf, LedgerEvent } from '../../domain/ledger/events.js'
import { GenerationalMap } from '../../domain/ledger/generational-map.js'
import { LocalClock } from '../../domain/local-time.js'
import { NO_ENTITLEMENTS, type PolicyAsk, type PolicyCaller } from '../../domain/policy-request.js'
import type { CedarEngine } from '../../policy/cedar-engine.js'

/** How many mints under way at once are remembered at least. */
const REMEMBERED = 25_000

const SHOWN = 20

interface Changed {
  index: number
  mintId: string
  wallet: string
  by: string
}

export class MintReplay {
  private readonly underWay = new GenerationalMap<PolicyCaller>(REMEMBERED)
  private readonly byPolicy = new Map<string, number>()
  private readonly first: Changed[] = []
  private readonly clock: LocalClock
  private mints = 0
  private changed = 0

  constructor(
    private readonly engine: CedarEngine,
    timezone: string,
  ) {
    this.clock = new LocalClock(timezone)
  }

  /** The text of an entry of a store, which may be any: what is no event of ours is passed over. */
  take(text: string): void {
    const { index, time, type, data } = JSON.parse(text) as Entry
    if (!isEventType(type) || schemaProblem(type, data)) return
    this.follow({ type, data } as unknown as LedgerEvent, { index, at: new Date(time) })
  }

  report() {
    const { mints, changed, first } = this
    return { mints, changed, byPolicy: Object.fromEntries(this.byPolicy), first }
  }

  private follow(event: LedgerEvent, entry: { index: number; at: Date }): void {
    switch (event.type) {
      case 'SessionValidated': {
        const { mintId, wallet, backend, agent } = event.data
        return this.underWay.set(mintId, { wallet, backend, agent, child: undefined })
      }
      case 'SessionScoped': {
        const { mintId, services, readOnly, parents } = event.data
        const caller = this.underWay.get(mintId)
        if (caller) this.underWay.set(mintId, { ...caller, child: { services, readOnly, parents } })
        return
      }
      case 'JwtIssued':
        // One that the broker exchanges itself is AWS credentials: how long they are good for is said at the end.
        return event.data.purpose === 'oidc_jwt'
          ? this.decide(event.data.mintId, askOfJwt(event.data), entry)
          : undefined
      case 'CredsMinted':
        return this.decide(event.data.mintId, askOfCreds(event.data), entry)
      default:
        return
    }
  }

  private decide(mintId: string, ask: PolicyAsk, { index, at }: { index: number; at: Date }): void {
    const caller = this.underWay.get(mintId)
    if (!caller) return
    this.underWay.delete(mintId)
    this.mints += 1
    const local = this.clock.at(at)
    const { verdict, policies } = this.engine.decide({
      caller,
      ask,
      at,
      local,
      entitlements: NO_ENTITLEMENTS,
    })
    if (verdict === 'allow') return
    this.changed += 1
    const by = policies.length > 0 ? policies : ['no policy']
    for (const id of by) this.byPolicy.set(id, (this.byPolicy.get(id) ?? 0) + 1)
    if (this.first.length < SHOWN)
      this.first.push({ index, mintId, wallet: caller.wallet, by: by.join(', ') })
  }
}

function askOfJwt({ aud, roleArn, iat, exp }: EventOf<'JwtIssued'>['data']): PolicyAsk {
  return { kind: 'oidc_jwt', audience: aud, roleArn, lifetimeSeconds: exp - iat }
}

function askOfCreds({ roleArn, durationSeconds }: EventOf<'CredsMinted'>['data']): PolicyAsk {
  return { kind: 'aws_creds', audience: STS_AUDIENCE, roleArn, lifetimeSeconds: durationSeconds }
}
