// The lines of an AWS profile that gets its credentials from `agentkeys credential-process`.

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
  const head = profile === 'default' ? '[default]' : `[profile ${profile}]`
  return `${head}\n${region === undefined ? '' : `region = ${region}\n`}credential_process = ${words.join(' ')}\n`
}
