// An AWS profile of this agent's own: its credentials come from credential_process, so they renew themselves and are in
// no transcript.

import { join } from 'node:path'

import { replaceFile } from '../../../src/storage/atomic-file.js'
import { awsProfile } from '../aws-profile.js'
import type { Context } from '../context.js'
import { credentialsFor } from '../credentials.js'

const PROFILE = 'agentkeys'

/** Mints first, so that the answer is about credentials that exist. */
export async function prepareAwsProfile(
  context: Context,
  role: string | undefined,
): Promise<Record<string, unknown>> {
  const held = await credentialsFor(context, role === undefined ? {} : { role })
  const path = join(context.home.folder, 'aws-config')
  await replaceFile(path, awsProfile(context, { profile: PROFILE, role, region: held.region }), 0o600)
  return {
    profile: PROFILE,
    config_file: path,
    expires_at: new Date(held.expiresAt).toISOString(),
    wallet: held.wallet,
    role_arn: held.roleArn,
    ledger_index: held.ledgerIndex,
    mint_id: held.mintId,
    how_to_use: `AWS_CONFIG_FILE=${path} AWS_PROFILE=${PROFILE} aws sts get-caller-identity; or: agentkeys exec -- COMMAND`,
  }
}
