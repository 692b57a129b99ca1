// `doctor --mint`: mints as an agent would, which leaves entries in the ledger.

import { ClientError } from '../../client/errors.js'

import type { Context } from '../context.js'
import { mintCredentials } from '../credentials.js'
import { outlastsRefreshWindow } from '../freshness.js'
import { type Finding, failure, ok, warning } from './finding.js'

export async function checkMint(context: Context): Promise<Finding[]> {
  try {
    const held = await mintCredentials(context, {})
    const minted = ok(
      `AWS credentials were minted for ${held.roleArn}, entry ${held.ledgerIndex} of the ledger`,
    )
    if (outlastsRefreshWindow(held, Date.now() + 60_000)) return [minted]
    const short = 'AWS SDKs refresh 15 minutes before the end, so they would ask at every call'
    return [minted, warning(short, 'ask for longer ones: --duration 3600')]
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    return [failure(`no AWS credentials: ${error.message}`, error.remedy)]
  }
}
