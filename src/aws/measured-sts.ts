import type { CredsFailureCode } from '../domain/ledger/events.js'
import { type AssumeRoleAsk, type AwsCredentials, Sts, StsError, type WebIdentityAsk } from './sts.js'

export type StsOutcome = 'ok' | CredsFailureCode

/** Tells `answered` how each exchange ended, and how long it took in seconds, retries included. */
export class MeasuredSts extends Sts {
  constructor(
    private readonly sts: Sts,
    private readonly answered: (outcome: StsOutcome, seconds: number) => void,
  ) {
    super()
  }

  get mode(): Sts['mode'] {
    return this.sts.mode
  }

  get region(): string {
    return this.sts.region
  }

  withWebIdentity(ask: WebIdentityAsk): Promise<AwsCredentials> {
    return this.measured(() => this.sts.withWebIdentity(ask))
  }

  assumeRole(ask: AssumeRoleAsk): Promise<AwsCredentials> {
    return this.measured(() => this.sts.assumeRole(ask))
  }

  checkIdentity(): Promise<void> {
    return this.sts.checkIdentity()
  }

  describeCredentials(): string {
    return this.sts.describeCredentials()
  }

  close(): void {
    this.sts.close()
  }

  private async measured(exchange: () => Promise<AwsCredentials>): Promise<AwsCredentials> {
    const begun = performance.now()
    const took = () => (performance.now() - begun) / 1000
    try {
      const credentials = await exchange()
      this.answered('ok', took())
      return credentials
    } catch (error) {
      this.answered(error instanceof StsError ? error.code : 'unexpected', took())
      throw error
    }
  }
}
