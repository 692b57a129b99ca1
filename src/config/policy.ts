import { type Environment, InvalidSettingError, type Parse, path } from './environment.js'

/** Where the operator's policy is. */
export interface PolicyFilesConfig {
  /** The folder of the policy in force. Undefined: the configured lists decide alone. */
  readonly folder: string | undefined
  /** The folder of a policy that is evaluated beside it, and never decides. */
  readonly candidateFolder: string | undefined
  /** Whose hours and weekdays a policy speaks of. */
  readonly timezone: string
}

export function readPolicyFiles(env: Environment): PolicyFilesConfig {
  const files = {
    folder: env.read('BROKER_POLICY', path, undefined),
    candidateFolder: env.read('BROKER_POLICY_CANDIDATE', path, undefined),
    timezone: env.read('BROKER_POLICY_TIMEZONE', timezone, 'UTC'),
  }
  if (files.folder !== undefined && files.folder === files.candidateFolder)
    env.problems.push('BROKER_POLICY and BROKER_POLICY_CANDIDATE name the same folder: give each its own')
  return files
}

const timezone: Parse<string> = (text) => {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: text })
    return text
  } catch {
    throw new InvalidSettingError('an IANA time zone, as Europe/Berlin')
  }
}
