// From the settings to what the mints ask. The library is loaded only where there is a policy.

import type { Logger } from 'pino'

import { type Cedar, loadCedar } from './cedar.js'
import { CedarEngine } from './cedar-engine.js'
import { cedarSet } from './cedar-set.js'
import { FolderPolicies, type RecordLoaded } from './folder-policies.js'
import { NO_POLICY, type Policies } from './policies.js'
import { ShadowedPolicies } from './shadowed-policies.js'
import { PolicyError, readPolicyFolder } from './policy-folder.js'

export interface PolicySettings {
  readonly folder: string | undefined
  readonly candidateFolder: string | undefined
  readonly timezone: string
}

/** A policy that could be loaded, before anything was recorded of it. */
export interface CheckedPolicy {
  /** Records it and puts it in force. Rejects with PolicyError if it was changed for the worse since. */
  open(recorder: { node: string; record: RecordLoaded }): Promise<OpenPolicies>
}

export interface OpenPolicies {
  policies: Policies
  /** Undefined: there is nothing to load again. */
  reloadPolicy: (() => Promise<void>) | undefined
}

/** Rejects with PolicyError: with a policy that cannot be loaded nothing is started. */
export async function checkPolicy(settings: PolicySettings, log: Logger): Promise<CheckedPolicy> {
  const checked = await checkInForce(settings, log)
  return {
    open: async (recorder) => {
      const opened = await checked.open(recorder)
      return { ...opened, policies: await besideCandidate(opened.policies, settings, log) }
    },
  }
}

/** A candidate that cannot be loaded must not touch what is in force: it is an error line, and no refusal. */
async function besideCandidate(
  inForce: Policies,
  { candidateFolder, timezone }: PolicySettings,
  log: Logger,
): Promise<Policies> {
  if (candidateFolder === undefined) return inForce
  try {
    const cedar = await loadCedar()
    const set = cedarSet(cedar, readPolicyFolder(candidateFolder))
    const engine = new CedarEngine(cedar, 'candidate')
    engine.prepare(set)()
    log.info({ sha256: set.sha256 }, 'candidate policy loaded: it is compared, and never decides')
    return new ShadowedPolicies(inForce, engine, timezone, log)
  } catch (error) {
    log.error(`BROKER_POLICY_CANDIDATE is not compared: ${(error as Error).message}`)
    return inForce
  }
}

async function checkInForce({ folder, timezone }: PolicySettings, log: Logger): Promise<CheckedPolicy> {
  if (folder === undefined)
    return { open: () => Promise.resolve({ policies: NO_POLICY, reloadPolicy: undefined }) }
  const cedar = await loadCedar()
  assertLoadable(cedar, folder)
  return {
    open: async (recorder) => {
      const policies = await FolderPolicies.open(cedar, { folder, timezone }, recorder, log)
      return { policies, reloadPolicy: () => policies.reload() }
    },
  }
}

function assertLoadable(cedar: Cedar, folder: string): void {
  try {
    cedarSet(cedar, readPolicyFolder(folder))
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error
    throw new PolicyError(`BROKER_POLICY: ${error.message}`)
  }
}
