// The file BROKER_WITNESS_POLICY names: read once, and checked for what a broker needs of it.

import { readFileSync } from 'node:fs'

import { formatVkey, type NoteKey } from '../domain/ledger/note.js'
import { parsePolicy, type Policy, type PolicyWitness } from '../domain/ledger/policy.js'
import { FormatError } from '../domain/ledger/encoding.js'

/** The policy file cannot be used. The message says why and what to do. */
export class WitnessPolicyError extends Error {
  constructor(path: string, problem: string) {
    super(`BROKER_WITNESS_POLICY ${path}: ${problem}`)
    this.name = 'WitnessPolicyError'
  }
}

/** `gated`: something waits for the quorum, so there must be one. Throws WitnessPolicyError. */
export function readWitnessPolicy(path: string, logKey: NoteKey, gated: boolean): Policy {
  const policy = readPolicyFile(path, gated)
  const vkey = formatVkey(logKey)
  if (!policy.logs.some(({ key }) => formatVkey(key) === vkey)) {
    throw new WitnessPolicyError(path, `it has no line for this ledger: add "log ${vkey}"`)
  }
  return policy
}

/** All of it that can be checked before there is a ledger and its key. Throws WitnessPolicyError. */
export function readPolicyFile(path: string, gated: boolean): Policy {
  const policy = parsed(path)
  if (policy.witnesses.length === 0) throw new WitnessPolicyError(path, 'it names no witness: add one')
  for (const witness of policy.witnesses) checkUrl(path, witness)
  if (gated && policy.quorum === 'none') {
    throw new WitnessPolicyError(
      path,
      'its quorum is none, so it would hold nothing back: name a quorum, or require no witnesses in BROKER_RELEASE_REQUIRES, BROKER_WITNESSED_ROLES and BROKER_WITNESSED_AUDIENCES',
    )
  }
  return policy
}

function parsed(path: string): Policy {
  try {
    return parsePolicy(readFileSync(path))
  } catch (error) {
    if (error instanceof FormatError) throw new WitnessPolicyError(path, error.message)
    throw new WitnessPolicyError(
      path,
      `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`,
    )
  }
}

/** The URL stands in logs and in evidence, so it may hold no secret. */
function checkUrl(path: string, { name, url }: PolicyWitness): void {
  if (url === undefined) {
    throw new WitnessPolicyError(
      path,
      `witness ${name} has no URL: put its submission prefix at the line's end`,
    )
  }
  const { username, password, search, hash } = new URL(url)
  if (username !== '' || password !== '' || search !== '' || hash !== '') {
    throw new WitnessPolicyError(path, `the URL of witness ${name} must have no user, query or fragment`)
  }
}
