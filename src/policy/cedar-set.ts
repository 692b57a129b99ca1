// A folder's policies, split, named by their @id, and validated against the schema: all or nothing.

import type { DetailedError, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'

import { MOST_POLICIES, POLICY_ID } from '../domain/ledger/policy-rules.js'
import type { Cedar } from './cedar.js'
import { CEDAR_SCHEMA } from './cedar-schema.js'
import { impossibleEntity } from './cedar-entities.js'
import { type PolicyFolder, PolicyError } from './policy-folder.js'

export interface CedarSet {
  readonly sha256: string
  /** By @id, which is how a decision names them. */
  readonly policies: Readonly<Record<string, string>>
  /** Of those that have one: what a caller is given to read. */
  readonly reasons: ReadonlyMap<string, string>
  /** What the validator found odd, as a condition that never holds. */
  readonly warnings: readonly string[]
}

const REASON = /^[\x20-\x7e\u00a0-\ud7ff\ue000-\ufffd]{1,200}$/

/** Throws PolicyError, with the file and the policy, for anything that is not beyond doubt. */
export function cedarSet(cedar: Cedar, { files, sha256 }: PolicyFolder): CedarSet {
  const policies: Record<string, string> = {}
  const reasons = new Map<string, string>()
  for (const [file, text] of Object.entries(files)) {
    for (const policy of partsOf(cedar, file, text)) {
      const { id, reason } = annotationsOf(cedar, file, policy)
      if (Object.hasOwn(policies, id)) throw new PolicyError(`${file}: @id("${id}") is there twice`)
      policies[id] = policy
      if (reason !== undefined) reasons.set(id, reason)
    }
  }
  const count = Object.keys(policies).length
  if (count === 0) throw new PolicyError('there is no policy in it: nothing would be minted')
  if (count > MOST_POLICIES) throw new PolicyError(`${count} policies: there may be ${MOST_POLICIES}`)
  return { sha256, policies, reasons, warnings: validated(cedar, policies) }
}

function partsOf(cedar: Cedar, file: string, text: string): string[] {
  const answer = cedar.policySetTextToParts(text)
  if (answer.type === 'failure') throw new PolicyError(`${file}: ${described(answer.errors, text)}`)
  if (answer.policy_templates.length > 0)
    throw new PolicyError(`${file}: a template (?principal, ?resource) is never linked here: write a policy`)
  return answer.policies
}

function annotationsOf(cedar: Cedar, file: string, text: string): { id: string; reason: string | undefined } {
  const answer = cedar.policyToJson(text)
  if (answer.type === 'failure') throw new PolicyError(`${file}: ${described(answer.errors, text)}`)
  const { id, reason, ...others } = (answer.json.annotations ?? {}) as PolicyJson['annotations'] & object
  if (id === undefined || !POLICY_ID.test(id))
    throw new PolicyError(
      `${file}: every policy needs an @id of 1 to 64 letters, digits, dots, dashes and underscores: ${opening(text)}`,
    )
  if (reason !== undefined && !REASON.test(reason))
    throw new PolicyError(`${file}: @reason of ${id}: 1 to 200 characters on one line`)
  const [unknown] = Object.keys(others)
  if (unknown !== undefined)
    throw new PolicyError(`${file}: ${id}: @${unknown} has no effect here: @id and @reason are all there is`)
  const impossible = impossibleEntity(answer.json)
  if (impossible !== undefined) throw new PolicyError(`${file}: ${id}: ${impossible}`)
  return { id, reason }
}

function validated(cedar: Cedar, staticPolicies: Record<string, string>): string[] {
  const settings = { mode: 'strict' } as const
  const answer = cedar.validate({
    schema: CEDAR_SCHEMA,
    policies: { staticPolicies },
    validationSettings: settings,
  })
  if (answer.type === 'failure') throw new PolicyError(described(answer.errors))
  const [first] = answer.validationErrors
  if (first) throw new PolicyError(described([first.error]))
  return answer.validationWarnings.map(({ error }) => described([error]))
}

/** The parser's own words, and where. */
function described([first]: readonly DetailedError[], text?: string): string {
  if (!first) return 'it cannot be read'
  const [place] = first.sourceLocations ?? []
  const line = place && text !== undefined ? `line ${text.slice(0, place.start).split('\n').length}: ` : ''
  const expected = place?.label ? ` (${place.label})` : ''
  return `${line}${first.message}${first.help ? `; ${first.help}` : expected}`
}

function opening(text: string): string {
  return JSON.stringify(text.slice(0, 60))
}
