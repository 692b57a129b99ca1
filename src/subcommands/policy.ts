// agentkeys-broker policy …: looks at a policy without a broker, and beside one that runs. Writes nothing.

import { resolve } from 'node:path'

import type { Config } from '../config.js'
import { loadCedar } from '../policy/cedar.js'
import { CEDAR_SCHEMA } from '../policy/cedar-schema.js'
import { type CedarSet, cedarSet } from '../policy/cedar-set.js'
import { defaultPolicy } from '../policy/default-policy.js'
import { PolicyError, readPolicyFolder } from '../policy/policy-folder.js'
import type { PolicyLine } from '../start/policy-line.js'
import type { Outcome } from './outcome.js'
import { explain } from './policy/explain.js'
import { replay } from './policy/replay.js'
import { runTests } from './policy/run-tests.js'

export async function policy(line: PolicyLine, config: Config): Promise<Outcome> {
  try {
    return await outcomeOf(line, config)
  } catch (error) {
    const code = error instanceof PolicyError ? 1 : 3
    return { code, message: `policy ${line.verb}: ${(error as Error).message}` }
  }
}

async function outcomeOf(line: PolicyLine, config: Config): Promise<Outcome> {
  const { timezone } = config.policyFiles
  switch (line.verb) {
    case 'schema':
      return { code: 0, message: CEDAR_SCHEMA.trimEnd() }
    case 'default':
      return { code: 0, message: defaultPolicy(config.policy).trimEnd() }
    case 'check':
      return { code: 0, message: described(await loaded(line.folder, config)) }
    case 'test':
      return runTests(line.file, await loaded(undefined, config), config)
    case 'explain': {
      const set = config.policyFiles.folder === undefined ? undefined : await loaded(undefined, config)
      return explain(line.ask, set, config)
    }
    case 'replay':
      return replay(await loaded(line.folder, config, 'candidate'), { ...config, timezone, json: line.json })
  }
}

/** The folder that is named, or else the one of the settings. */
async function loaded(
  folder: string | undefined,
  { policyFiles }: Config,
  preferred: 'policy' | 'candidate' = 'policy',
): Promise<CedarSet> {
  const configured =
    preferred === 'candidate' ? (policyFiles.candidateFolder ?? policyFiles.folder) : policyFiles.folder
  const path = folder === undefined ? configured : resolve(folder)
  if (path === undefined) throw new PolicyError('name a folder, or set BROKER_POLICY')
  return cedarSet(await loadCedar(), readPolicyFolder(path))
}

function described({ sha256, policies, warnings }: CedarSet): string {
  const ids = Object.keys(policies)
  return [
    `${ids.length} ${ids.length === 1 ? 'policy' : 'policies'}: ${ids.join(', ')}`,
    `sha256 ${sha256}`,
    ...warnings.map((warning) => `warning: ${warning}`),
  ].join('\n')
}
