// Minted AWS credentials as they are kept: in the cache, and in the daemon's memory.

import type { Lifetime } from './freshness.js'

export interface HeldCredentials extends Lifetime {
  accessKeyId: string
  secretAccessKey: string
  sessionToken: string
  wallet: string
  roleArn: string
  region: string
  mintId: string
  ledgerIndex: number
}
