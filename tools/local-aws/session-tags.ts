// Session tags and the source identity: what a caller says about itself, kept with the session.
// IAM User Guide, "Pass session tags in AWS STS" and "Monitor and control actions taken with assumed roles".

import { StsError, invalidToken } from './errors.js'
import { members, type Parameters } from './parameters.js'

export interface SessionTags {
  /** By key as written. Keys that differ only in case are one key. */
  tags: ReadonlyMap<string, string>
  transitiveKeys: readonly string[]
}

export const NO_TAGS: SessionTags = { tags: new Map(), transitiveKeys: [] }

const TAGS = 'https://aws.amazon.com/tags'
const FLAT_TAG = `${TAGS}/principal_tags/`
const FLAT_TRANSITIVE = `${TAGS}/transitive_tag_keys`

/** The tags of a JWT, nested or flattened. Both forms in one token: AWS does not say what wins, so it is refused. */
export function tagsOfClaims(claims: Record<string, unknown>): SessionTags {
  const flat = Object.keys(claims).filter((name) => name.startsWith(`${TAGS}/`))
  const nested = claims[TAGS]
  if (nested !== undefined && flat.length > 0)
    throw invalidToken('The token has both nested and flattened session tags')
  const found = nested === undefined ? flattened(claims, flat) : nestedTags(nested)
  return checked(found, (_, message) => invalidToken(message))
}

/** The tags of an AssumeRole request: Tags.member.N.Key, .Value and TransitiveTagKeys.member.N. */
export function tagsOfParameters(parameters: Parameters): SessionTags {
  const keys = members(parameters, 'Tags', '.Key')
  const values = members(parameters, 'Tags', '.Value')
  if (keys.length !== values.length)
    throw new StsError('ValidationError', 'Every tag needs a Key and a Value')
  const found: FoundTags = {
    pairs: keys.map((key, index) => [key, values[index] ?? '']),
    transitiveKeys: members(parameters, 'TransitiveTagKeys'),
  }
  return checked(found, (code, message) => new StsError(code, message))
}

/**
 * The tags of a chained session: the caller's transitive ones go along, and may not be given a new value on the way.
 * What was not transitive stays behind.
 */
export function inherit(caller: SessionTags, request: SessionTags): SessionTags {
  const tags = new Map(request.tags)
  for (const key of caller.transitiveKeys) {
    if (holdsKey(request.tags.keys(), key)) {
      throw new StsError(
        'InvalidParameterValue',
        `The tag ${key} is transitive in the calling session and cannot be set again`,
      )
    }
    tags.set(key, tagValue(caller.tags, key) ?? '')
  }
  return { tags, transitiveKeys: [...caller.transitiveKeys, ...request.transitiveKeys] }
}

/** The session's principal tags: the role's own, overridden by the session's. */
export function principalTags(
  roleTags: ReadonlyMap<string, string>,
  session: SessionTags,
): Map<string, string> {
  const result = new Map(session.tags)
  for (const [key, value] of roleTags) if (!holdsKey(session.tags.keys(), key)) result.set(key, value)
  return result
}

/** A source identity, from a claim or a parameter. */
export function isSourceIdentity(value: unknown): value is string {
  return typeof value === 'string' && /^[\w+=,.@-]{2,64}$/.test(value) && !/^aws:/i.test(value)
}

interface FoundTags {
  pairs: [key: string, value: string][]
  transitiveKeys: string[]
}

function nestedTags(claim: unknown): FoundTags {
  if (!isObject(claim)) throw invalidToken(`${TAGS} must be an object`)
  const { principal_tags: tags, transitive_tag_keys: transitive, ...rest } = claim
  const [stranger] = Object.keys(rest)
  if (stranger !== undefined) throw invalidToken(`${TAGS} has an unknown member ${stranger}`)
  if (!isObject(tags)) throw invalidToken('principal_tags must be an object')
  const pairs = Object.entries(tags).map(([key, value]): [string, string] => {
    if (!Array.isArray(value) || value.length !== 1 || typeof value[0] !== 'string') {
      throw invalidToken(`The nested tag ${key} must be an array of exactly one string`)
    }
    return [key, value[0]]
  })
  return { pairs, transitiveKeys: keyList(transitive, 'transitive_tag_keys') }
}

function flattened(claims: Record<string, unknown>, names: string[]): FoundTags {
  const pairs: [string, string][] = []
  for (const name of names) {
    if (name === FLAT_TRANSITIVE) continue
    if (!name.startsWith(FLAT_TAG)) throw invalidToken(`${name} is no session tag claim`)
    const value = claims[name]
    if (typeof value !== 'string')
      throw invalidToken(`The flattened tag ${name.slice(FLAT_TAG.length)} must be a string`)
    pairs.push([name.slice(FLAT_TAG.length), value])
  }
  return { pairs, transitiveKeys: keyList(claims[FLAT_TRANSITIVE], FLAT_TRANSITIVE) }
}

function keyList(value: unknown, name: string): string[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw invalidToken(`${name} must be an array of strings`)
  return value.map((key: unknown) => {
    if (typeof key !== 'string') throw invalidToken(`${name} must be an array of strings`)
    return key
  })
}

const TAG_TEXT = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u

type Refuse = (code: 'ValidationError' | 'InvalidParameterValue', message: string) => StsError

function checked({ pairs, transitiveKeys }: FoundTags, refuse: Refuse): SessionTags {
  if (pairs.length > 50) throw refuse('ValidationError', `A session can have 50 tags, not ${pairs.length}`)
  const tags = new Map<string, string>()
  for (const [key, value] of pairs) {
    const problem = tagProblem(key, value)
    if (problem) throw refuse('ValidationError', problem)
    if (holdsKey(tags.keys(), key)) {
      throw refuse(
        'InvalidParameterValue',
        'Duplicate tag keys found. Please note that Tag keys are case insensitive.',
      )
    }
    tags.set(key, value)
  }
  for (const key of transitiveKeys) {
    if (!holdsKey(tags.keys(), key)) {
      throw refuse(
        'InvalidParameterValue',
        'The specified transitive tag key must be included in the requested tags.',
      )
    }
  }
  return { tags, transitiveKeys }
}

function tagProblem(key: string, value: string): string | undefined {
  if (key.length < 1 || key.length > 128) return 'A tag key must have 1 to 128 characters'
  if (value.length > 256) return 'A tag value must have at most 256 characters'
  if (!TAG_TEXT.test(key)) return 'A tag key may have letters, digits, spaces and _.:/=+-@ only'
  if (!TAG_TEXT.test(value)) return 'A tag value may have letters, digits, spaces and _.:/=+-@ only'
  if (/^aws:/i.test(key)) return 'A tag key must not start with aws:'
  return undefined
}

function holdsKey(keys: Iterable<string>, key: string): boolean {
  for (const held of keys) if (held.toLowerCase() === key.toLowerCase()) return true
  return false
}

function tagValue(tags: ReadonlyMap<string, string>, key: string): string | undefined {
  for (const [held, value] of tags) if (held.toLowerCase() === key.toLowerCase()) return value
  return undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
