import { type AwsCredentials, Sts, StsError } from './sts.js'

/** A broker without an AWS role: there is nothing to ask, and domain/mint.ts refuses before anyone tries. */
export class NoSts extends Sts {
  readonly mode = 'web-identity'
  readonly region = ''

  withWebIdentity(): Promise<AwsCredentials> {
    return Promise.reject(new StsError('unexpected', 'no AWS role is configured'))
  }

  assumeRole(): Promise<AwsCredentials> {
    return Promise.reject(new StsError('unexpected', 'no AWS role is configured'))
  }

  checkIdentity(): Promise<void> {
    return Promise.resolve()
  }

  describeCredentials(): string {
    return 'AWS credentials: none (no role is configured, so the AWS endpoint answers 503)'
  }

  close(): void {
    // Nothing was opened.
  }
}
