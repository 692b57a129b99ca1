// The lines of an AWS profile: one that runs `agentkeys credential-process`, and one that reads a token file.

import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import { UsageError } from './command.js'
import type { Context } from './context.js'

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url))

export interface ProfileAsk {
  profile: string
  role?: string | undefined
  durationSeconds?: number | undefined
  region?: string | undefined
}

/** Throws UsageError for a word that would need quotes. */
export function awsProfile(context: Context, { profile, role, durationSeconds, region }: ProfileAsk): string {
  const words = [
    process.execPath,
    MAIN,
    'credential-process',
    ...['--broker-url', context.home.url.href, '--session-id', context.sessionId],
    ...(role === undefined ? [] : ['--role', role]),
    ...(durationSeconds === undefined ? [] : ['--duration', String(durationSeconds)]),
  ]
  // Some SDKs run the line through a shell and some do not, so no word may need quotes.
  const odd = words.find((word) => !/^[\w@%+=:,./-]+$/.test(word))
  if (odd !== undefined)
    throw new UsageError(
      `${JSON.stringify(odd)} would need quotes, which AWS SDKs read differently: use a plain path`,
    )
  return profileText(profile, region, [`credential_process = ${words.join(' ')}`])
}

export interface TokenFileProfile {
  profile: string
  tokenFile: string
  role: string
  wallet: string
  region?: string | undefined
}

/** For what can read a file and nothing else: its SDK exchanges the token itself. */
export function tokenFileProfile({ profile, tokenFile, role, wallet, region }: TokenFileProfile): string {
  return profileText(profile, region, [
    `web_identity_token_file = ${resolve(tokenFile)}`,
    `role_arn = ${role}`,
    `role_session_name = ${roleSessionName(wallet)}`,
  ])
}

/** The AWS CLI's cache of role sessions looks at role and session name, and not at the token: this keeps wallets apart. */
export function roleSessionName(wallet: string): string {
  return `ak-${wallet}`
}

function profileText(profile: string, region: string | undefined, lines: readonly string[]): string {
  const head = profile === 'default' ? '[default]' : `[profile ${profile}]`
  return [head, ...(region === undefined ? [] : [`region = ${region}`]), ...lines, ''].join('\n')
}
