import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs'

import { BrokerError } from '../domain/errors.js'
import type { Sealed } from '../domain/ledger/entry.js'
import type { LedgerEvent } from '../domain/ledger/events.js'
import { type GrantCreated, MOST_GRANTS_OF_WALLET } from '../domain/ledger/grants.js'
import { LedgerError } from '../domain/ledger-error.js'
import type { AppendCondition } from '../ledger/callers.js'
import { Ledger, type LedgerReference } from '../ledger/ledger.js'

/** Who changes grants: the operator, or a wallet, with all through which it may be cut off. */
export interface Grantor {
  by: string
  session?: { tokenSha256: string; parents: readonly { wallet: string; tokenSha256: string }[] }
}

export interface ChangedGrant {
  grantId: string
  ledger: LedgerReference
}

export type NewGrant = Omit<GrantCreated, 'grantId' | 'by' | 'from'>

export class CreateGrant extends Command<ChangedGrant> {
  constructor(
    readonly grantor: Grantor,
    readonly grant: NewGrant,
  ) {
    super()
  }
}

export class RevokeGrant extends Command<ChangedGrant> {
  constructor(
    readonly grantor: Grantor,
    readonly grantId: string,
    readonly reason: string | undefined,
  ) {
    super()
  }
}

const FULL = `a wallet has at most ${MOST_GRANTS_OF_WALLET} grants: revoke some`

@CommandHandler(CreateGrant)
export class CreateGrantHandler implements ICommandHandler<CreateGrant> {
  constructor(private readonly ledger: Ledger) {}

  /** A wallet passes on what it was granted; a grant of its own would let it allow itself. */
  async execute({ grantor, grant }: CreateGrant): Promise<ChangedGrant> {
    const at = this.ledger.clock()
    if (Date.parse(grant.expiresAt) <= at.getTime())
      throw new BrokerError('invalid-field', 'expires_at must be in the future')
    if (this.ledger.grants.isFull(grant.wallet, at.getTime())) throw new BrokerError('too-many-grants', FULL)
    const data: GrantCreated = { ...grant, grantId: `grn-${this.ledger.newMintId(at)}`, by: grantor.by }
    const from = grantor.session && this.passedOnFrom(data, at)
    const created = from === undefined ? data : { ...data, from }
    return appended(this.ledger, grantor, { type: 'GrantCreated', data: created })
  }

  private passedOnFrom(data: GrantCreated, at: Date): string {
    const own = this.ledger.grants.ofWallet(data.by)
    const from = own.find(
      ({ grantId }) => !this.ledger.grants.creationProblem({ ...data, from: grantId }, at.getTime()),
    )
    if (from) return from.grantId
    const detail =
      'a session passes on what it was granted, no wider and no longer, and holds no grant of this'
    throw new BrokerError('no-grant', detail)
  }
}

@CommandHandler(RevokeGrant)
export class RevokeGrantHandler implements ICommandHandler<RevokeGrant> {
  constructor(private readonly ledger: Ledger) {}

  /** A grant of another wallet is answered as one that does not exist. */
  async execute({ grantor, grantId, reason }: RevokeGrant): Promise<ChangedGrant> {
    const data = { grantId, by: grantor.by, ...(reason === undefined ? {} : { reason }) }
    const missing = () => new BrokerError('no-such-grant', 'there is no such grant, or it was revoked')
    if (this.ledger.grants.revocationProblem(data)) throw missing()
    try {
      return await appended(this.ledger, grantor, { type: 'GrantRevoked', data })
    } catch (error) {
      throw error instanceof LedgerError && error.code === 'grant-changed' ? missing() : error
    }
  }
}

type GrantChange = Extract<LedgerEvent, { type: 'GrantCreated' | 'GrantRevoked' }>

/** Looked at again where it is chained: the grant it comes from may be gone by then, or the wallet cut off. */
async function appended(ledger: Ledger, { by, session }: Grantor, event: GrantChange): Promise<ChangedGrant> {
  const condition: AppendCondition = ({ cutOffs, grants, at }) => {
    const subject = session && { ...session, mintId: '', wallet: by, roleArn: undefined }
    const through = subject && cutOffs.covering(subject)
    if (through) return new LedgerError('cut-off', `the operator has cut off this ${through}`)
    if (event.type === 'GrantCreated' && grants.isFull(event.data.wallet, at))
      return new LedgerError('grants-full', FULL)
    const problem =
      event.type === 'GrantCreated'
        ? grants.creationProblem(event.data, at)
        : grants.revocationProblem(event.data)
    return problem && new LedgerError('grant-changed', problem.detail)
  }
  const [entry] = (await ledger.append([event], undefined, condition)) as [Sealed]
  return { grantId: event.data.grantId, ledger: await ledger.release(entry, 'durable') }
}
