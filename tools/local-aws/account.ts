// The accounts this STS knows: OIDC providers, roles with their trust policies, users with static keys.

import { parsePolicy, type Policy } from '../../src/domain/iam/policy.js'

/** The configuration as JSON has it. An account exists by being in an ARN. */
export interface AccountConfig {
  providers: { account: string; url: string; clientIds: string[] }[]
  roles: {
    arn: string
    maxSessionDuration?: number
    tags?: Record<string, string>
    trustPolicy: unknown
    /** Identity policies, inline or attached: at S3 they are one. */
    policies?: unknown[]
  }[]
  users: { arn: string; accessKeyId: string; secretAccessKey: string; policies?: unknown[] }[]
  buckets?: { name: string; account: string; policy?: unknown }[]
}

export interface Provider {
  arn: string
  /** Equal to the token's iss, byte for byte. */
  url: string
  /** The url without its scheme: how IAM names the provider in condition keys. */
  name: string
  account: string
  clientIds: readonly string[]
}

export interface Role {
  arn: string
  account: string
  /** The last part of the ARN: a role's path is no part of its name. */
  name: string
  maxSessionDuration: number
  tags: ReadonlyMap<string, string>
  trustPolicy: Policy
  policies: readonly Policy[]
}

export interface User {
  arn: string
  account: string
  accessKeyId: string
  secretAccessKey: string
  policies: readonly Policy[]
}

/** A bucket that is there from the start. */
export interface ConfiguredBucket {
  name: string
  account: string
  policy: { text: string; parsed: Policy } | undefined
}

export interface Account {
  providers: readonly Provider[]
  roles: ReadonlyMap<string, Role>
  users: ReadonlyMap<string, User>
  buckets: readonly ConfiguredBucket[]
}

/** The configuration cannot be used. The message names the member and what it should be. */
export class AccountError extends Error {
  override name = 'AccountError'
}

/** Reads a configuration strictly; throws AccountError or PolicyDocumentError. */
export function parseAccount(config: unknown): Account {
  const members = exactly(config, 'config', ['providers', 'roles', 'users'], ['buckets'])
  const { providers, roles, users, buckets = [] } = members
  const known = list(providers, 'providers').map(parseProvider)
  const names = known.map(({ name }) => name)
  return {
    providers: unique(known, 'providers', ({ arn }) => arn),
    roles: byKey(
      list(roles, 'roles').map((role, index) => parseRole(role, `roles[${index}]`, names)),
      'arn',
    ),
    users: byKey(
      list(users, 'users').map((user, index) => parseUser(user, `users[${index}]`)),
      'accessKeyId',
    ),
    buckets: list(buckets, 'buckets').map((bucket, index) => parseBucket(bucket, `buckets[${index}]`)),
  }
}

function parseProvider(value: unknown, index: number): Provider {
  const where = `providers[${index}]`
  const { account, url, clientIds } = exactly(value, where, ['account', 'url', 'clientIds'])
  const id = text(account, `${where}.account`, /^\d{12}$/, '12 digits')
  const issuer = text(url, `${where}.url`, /^.{1,255}$/s, 'at most 255 characters')
  if (!isWebUrl(issuer))
    throw new AccountError(
      `${where}.url must be https, or http on a loopback host, without query or fragment`,
    )
  const ids = list(clientIds, `${where}.clientIds`)
  if (ids.length < 1 || ids.length > 100)
    throw new AccountError(`${where}.clientIds must have 1 to 100 entries`)
  const name = issuer.replace(/^https?:\/\//, '')
  return {
    arn: `arn:aws:iam::${id}:oidc-provider/${name}`,
    url: issuer,
    name,
    account: id,
    clientIds: ids.map((one) => text(one, `${where}.clientIds`, /^.{1,255}$/s, '1 to 255 characters each')),
  }
}

function parseRole(value: unknown, where: string, issuers: string[]): Role {
  const role = exactly(value, where, ['arn', 'trustPolicy'], ['maxSessionDuration', 'tags', 'policies'])
  const arn = text(
    role['arn'],
    `${where}.arn`,
    /^arn:aws:iam::\d{12}:role\/[\w+=,.@/-]+$/,
    'the ARN of a role',
  )
  const { maxSessionDuration = 3600, tags = {} } = role
  if (
    !Number.isInteger(maxSessionDuration) ||
    Number(maxSessionDuration) < 3600 ||
    Number(maxSessionDuration) > 43_200
  ) {
    throw new AccountError(`${where}.maxSessionDuration must be 3600 to 43200 seconds`)
  }
  const pairs = Object.entries(members(tags, `${where}.tags`))
  return {
    arn,
    account: accountOf(arn),
    name: lastPart(arn),
    maxSessionDuration: Number(maxSessionDuration),
    tags: new Map(
      pairs.map(([key, tag]) => [key, text(tag, `${where}.tags.${key}`, /^.{0,256}$/s, 'a string')]),
    ),
    trustPolicy: parsePolicy(role['trustPolicy'], `${where}.trustPolicy`, { kind: 'trust', issuers }),
    policies: parsePolicies(role['policies'], `${where}.policies`),
  }
}

function parsePolicies(value: unknown, where: string): Policy[] {
  return list(value ?? [], where).map((one, index) =>
    parsePolicy(one, `${where}[${index}]`, { kind: 'identity' }),
  )
}

function parseBucket(value: unknown, where: string): ConfiguredBucket {
  const { name, account, policy } = exactly(value, where, ['name', 'account'], ['policy'])
  return {
    name: text(name, `${where}.name`, /^[a-z0-9.-]{3,63}$/, 'the name of a bucket'),
    account: text(account, `${where}.account`, /^\d{12}$/, '12 digits'),
    policy:
      policy === undefined
        ? undefined
        : {
            text: JSON.stringify(policy),
            parsed: parsePolicy(policy, `${where}.policy`, { kind: 'resource' }),
          },
  }
}

function parseUser(value: unknown, where: string): User {
  const user = exactly(value, where, ['arn', 'accessKeyId', 'secretAccessKey'], ['policies'])
  const arn = text(
    user['arn'],
    `${where}.arn`,
    /^arn:aws:iam::\d{12}:user\/[\w+=,.@/-]+$/,
    'the ARN of a user',
  )
  return {
    arn,
    account: accountOf(arn),
    accessKeyId: text(
      user['accessKeyId'],
      `${where}.accessKeyId`,
      /^AKIA[A-Z0-9]{12,16}$/,
      'AKIA and 12 to 16 letters or digits',
    ),
    secretAccessKey: text(
      user['secretAccessKey'],
      `${where}.secretAccessKey`,
      /^\S{16,128}$/,
      '16 to 128 characters',
    ),
    policies: parsePolicies(user['policies'], `${where}.policies`),
  }
}

function accountOf(arn: string): string {
  return arn.split(':')[4] ?? ''
}

function lastPart(arn: string): string {
  return arn.slice(arn.lastIndexOf('/') + 1)
}

/** https anywhere, http on loopback, and nothing that is not part of an issuer. */
export function isWebUrl(candidate: string): boolean {
  const url = parsed(candidate)
  if (!url) return false
  if (url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '') return false
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))
}

/** Not by URL.canParse: that of Node 20 is wrong about Latin-1 letters once it is compiled. */
function parsed(candidate: string): URL | undefined {
  try {
    return new URL(candidate)
  } catch {
    return undefined
  }
}

export function isLoopback(host: string): boolean {
  return (
    host === 'localhost' ||
    host === '::1' ||
    host === '[::1]' ||
    /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)
  )
}

function exactly(
  value: unknown,
  where: string,
  needed: string[],
  optional: string[] = [],
): Record<string, unknown> {
  const found = members(value, where)
  const missing = needed.find((name) => found[name] === undefined)
  if (missing) throw new AccountError(`${where}.${missing} is missing`)
  const stranger = Object.keys(found).find((name) => !needed.includes(name) && !optional.includes(name))
  if (stranger)
    throw new AccountError(`${where}.${stranger} is unknown: use ${[...needed, ...optional].join(', ')}`)
  return found
}

function members(value: unknown, where: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>
  throw new AccountError(`${where} must be an object`)
}

function list(value: unknown, where: string): unknown[] {
  if (Array.isArray(value)) return value
  throw new AccountError(`${where} must be a list`)
}

function text(value: unknown, where: string, form: RegExp, expected: string): string {
  if (typeof value === 'string' && form.test(value)) return value
  throw new AccountError(`${where} must be ${expected}`)
}

function unique<T>(items: T[], where: string, key: (item: T) => string): T[] {
  if (new Set(items.map(key)).size !== items.length)
    throw new AccountError(`${where} has the same entry twice`)
  return items
}

function byKey<K extends string, T extends Record<K, string>>(items: T[], key: K): Map<string, T> {
  return new Map(
    unique(items, `${key} of the configuration`, (item) => item[key]).map((item) => [item[key], item]),
  )
}
