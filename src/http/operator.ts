import { BrokerError } from '../domain/errors.js'
import type { FileToken } from '../storage/token-file.js'

/** Who holds the operator's token may change what others may do. */
export class Operators {
  constructor(
    private readonly token: FileToken,
    /** Wallets that decide approvals beside the operator. */
    private readonly approvers: readonly string[] = [],
  ) {}

  approverIs(wallet: string): boolean {
    return this.approvers.includes(wallet)
  }

  is(bearer: string): boolean {
    return this.token.matches(bearer)
  }

  assert(bearer: string): void {
    if (!this.is(bearer)) throw new BrokerError('not-the-operator', 'the operator token is wanted here')
  }
}
