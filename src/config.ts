// Environment and flags → one frozen Config, or everything that is wrong with them. The only place that reads settings.
// docs/configuration.md is the operator's view of it.

import { join, resolve } from 'node:path'

import { isLoopback } from './config/address.js'
import { type ApprovalsConfig, readApprovals } from './config/approvals.js'
import { type AwsConfig, readAws, readRoles, readStsKind, type StsKind } from './config/aws.js'
import {
  Environment,
  listOf,
  matching,
  oneOf,
  type Parse,
  path,
  type Variables,
  wholeNumber,
} from './config/environment.js'
import { type ClientsConfig, readClients } from './config/clients.js'
import { type LedgerConfig, readLedger } from './config/ledger.js'
import { readLimits } from './config/limits.js'
import { type PolicyFilesConfig, readPolicyFiles } from './config/policy.js'
import { type LogLevel, readLogLevel } from './config/log-level.js'
import { readSessionBackend, type SessionBackendConfig } from './config/session.js'
import { parseIssuer } from './config/urls.js'
import { unusedSettings } from './config/unused-settings.js'
import { unknownVariables } from './config/variables.js'
import { readWitnessing, type WitnessConfig } from './config/witness.js'
import { CREDS_DURATION, JWT_TTL, type MintPolicy } from './domain/mint.js'
import type { LimitsPerMinute } from './domain/mint-limits.js'
import type { ReleasePolicy } from './domain/release.js'

/** What the command line sets. */
export interface Flags {
  /** 0: any free one. */
  readonly port: number
  readonly bind: string
  readonly skipStartupCheck: boolean
  /** Start although the EventStoreDB user could delete or truncate the ledger. */
  readonly insecureLedger: boolean
}

/** Deeply frozen, every path absolute. Holds secrets: show describeConfig's copy instead. A class, so that Nest can hand it out. */
export abstract class Config {
  abstract readonly bind: string
  abstract readonly port: number
  abstract readonly issuer: string
  abstract readonly policy: MintPolicy
  abstract readonly policyFiles: PolicyFilesConfig
  abstract readonly limits: LimitsPerMinute
  /** Whether a mint needs a grant. */
  abstract readonly grantsRequired: boolean
  abstract readonly approvals: ApprovalsConfig
  abstract readonly backend: SessionBackendConfig
  abstract readonly clients: ClientsConfig
  abstract readonly aws: AwsConfig
  abstract readonly ledger: LedgerConfig
  abstract readonly witness: WitnessConfig
  abstract readonly release: ReleasePolicy
  abstract readonly dataDir: string
  /** Undefined: the one kept in the data dir. */
  abstract readonly nodeId: string | undefined
  abstract readonly auditDbPath: string
  abstract readonly oidcKeypairPath: string
  /** How long relying parties may keep a copy of the JWKS: a key is published this long before it signs. */
  abstract readonly jwksCacheSeconds: number
  abstract readonly auditorTokenFile: string
  abstract readonly operatorTokenFile: string
  /** How far the clock may be past the ledger's last entry when the broker starts. */
  abstract readonly longestPauseDays: number
  abstract readonly shutdownGraceSeconds: number
  abstract readonly logLevel: LogLevel
  abstract readonly skipStartupCheck: boolean
  abstract readonly insecureLedger: boolean
}

export type ConfigReading =
  | { config: Config; warnings: readonly string[] }
  | { problems: readonly string[]; warnings: readonly string[] }

/** Touches no file. Each problem and each warning is one line, fit to be shown: no secret is in any of them. */
export function readConfig(variables: Variables, flags: Flags): ConfigReading {
  const env = new Environment(variables)
  const { warnings, problems } = env
  warnings.push(...unknownVariables(Object.keys(variables)), ...unusedSettings(variables))
  warnOfOpenBind(env, flags.bind)

  const issuer = readIssuer(env, flags.port)
  const dataDir = env.read('BROKER_DATA_DIR', path, defaultDataDir(variables))
  const stsKind = readStsKind(env)
  const policy = readPolicy(env, issuer, stsKind)
  const config: Config = {
    ...flags,
    issuer,
    policy,
    policyFiles: readPolicyFiles(env),
    limits: readLimits(env),
    approvals: readApprovals(env),
    grantsRequired: env.read('BROKER_GRANTS', oneOf('off', 'required'), 'off') === 'required',
    backend: readSessionBackend(env, flags.port),
    clients: readClients(env),
    aws: readAws(env, policy, stsKind),
    ledger: readLedger(env, issuer, dataDir),
    ...readWitnessing(env, policy),
    dataDir,
    ...readFiles(env, dataDir),
    jwksCacheSeconds: env.read('BROKER_JWKS_CACHE_SECONDS', wholeNumber(300, 604_800, 'seconds'), 86_400),
    nodeId: env.read('BROKER_NODE_ID', NODE_ID, undefined),
    longestPauseDays: readLongestPause(env),
    shutdownGraceSeconds: env.read('BROKER_SHUTDOWN_GRACE_SECONDS', wholeNumber(0, 300, 'seconds'), 30),
    logLevel: readLogLevel(env),
  }
  checkFilesDiffer(env, config)
  warnOfChaining(env, config)
  return problems.length > 0 ? { problems, warnings } : { config: deepFreeze(config), warnings }
}

const NODE_ID = matching(/^[A-Za-z0-9._-]{1,64}$/, '1 to 64 letters, digits, dots, dashes and underscores')

function readIssuer(env: Environment, port: number): string {
  const issuer = env.read('BROKER_OIDC_ISSUER', parseCheckedIssuer(env), undefined)
  if (issuer !== undefined) return issuer
  const fallback = `http://127.0.0.1:${port}`
  if (!env.has('BROKER_OIDC_ISSUER')) {
    if (port === 0)
      env.problems.push('BROKER_OIDC_ISSUER is not set, and with --port 0 it has no default: set it')
    env.warnings.push(
      `BROKER_OIDC_ISSUER is not set: no cloud can reach ${fallback}, so tokens work on this machine only`,
    )
  }
  return fallback
}

function parseCheckedIssuer(env: Environment): Parse<string> {
  return (text) => {
    const issuer = parseIssuer(text)
    const { protocol, port } = new URL(issuer)
    if (protocol === 'http:') {
      env.warnings.push(
        `BROKER_OIDC_ISSUER=${issuer}: no cloud can reach it, so tokens work on this machine only`,
      )
    } else if (port !== '') {
      env.warnings.push(
        `BROKER_OIDC_ISSUER=${issuer}: AWS advises against a port in an issuer; put it on 443`,
      )
    }
    return issuer
  }
}

function readPolicy(env: Environment, issuer: string, stsKind: StsKind): MintPolicy {
  // No wildcard: * is visible ASCII, but someone who writes it means more than the one audience of that name.
  const audiences = listOf(
    /^[\x21-\x29\x2b-\x7e]{1,255}$/,
    'audiences, 1 to 255 visible ASCII characters each, without *',
  )
  const ttl = wholeNumber(JWT_TTL.min, JWT_TTL.max, 'seconds')
  const duration = wholeNumber(CREDS_DURATION.min, CREDS_DURATION.max, 'seconds')
  return {
    issuer,
    ...readRoles(env, stsKind),
    allowedAudiences: env.read('BROKER_ALLOWED_AUDIENCES', audiences, []),
    jwtTtlSeconds: env.read('BROKER_OIDC_JWT_TTL_SECONDS', ttl, 300),
    sessionDurationSeconds: env.read('BROKER_SESSION_DURATION_SECONDS', duration, 3600),
    sourceIdentity: env.read('BROKER_STS_SOURCE_IDENTITY', oneOf('on', 'off'), 'on') === 'on',
  }
}

function readLongestPause(env: Environment): number {
  const days = env.read('BROKER_LONGEST_PAUSE_DAYS', wholeNumber(1, 36_500, 'days'), LONGEST_PAUSE_DAYS)
  if (days > LONGEST_PAUSE_DAYS) {
    env.warnings.push(
      `BROKER_LONGEST_PAUSE_DAYS=${days}: a start with a clock that is wrong by so much is not noticed; unset it after this start`,
    )
  }
  return days
}

const LONGEST_PAUSE_DAYS = 30

function readFiles(env: Environment, dataDir: string) {
  return {
    auditDbPath: env.read('BROKER_AUDIT_DB_PATH', path, join(dataDir, 'audit.sqlite')),
    oidcKeypairPath: env.read('BROKER_OIDC_KEYPAIR_PATH', path, join(dataDir, 'oidc-keypair.json')),
    auditorTokenFile: env.read('BROKER_AUDITOR_TOKEN_FILE', path, join(dataDir, 'auditor-token')),
    operatorTokenFile: env.read('BROKER_OPERATOR_TOKEN_FILE', path, join(dataDir, 'operator-token')),
  }
}

function defaultDataDir({ HOME }: Variables): string {
  return resolve(HOME || '.', '.agentkeys', 'broker')
}

/** One file in two roles would be overwritten by the one or opened as something it is not by the other. */
function checkFilesDiffer(env: Environment, config: Config): void {
  const { store, keyPath } = config.ledger
  const files: [string, string][] = [
    ['BROKER_OIDC_KEYPAIR_PATH', config.oidcKeypairPath],
    ['BROKER_LEDGER_KEY_PATH', keyPath],
    ['BROKER_AUDIT_DB_PATH', config.auditDbPath],
    ['BROKER_AUDITOR_TOKEN_FILE', config.auditorTokenFile],
    ['BROKER_OPERATOR_TOKEN_FILE', config.operatorTokenFile],
  ]
  const { mailRouterTokenFile } = config.clients
  if (mailRouterTokenFile !== undefined) files.push(['BROKER_MAIL_ROUTER_TOKEN_FILE', mailRouterTokenFile])
  if (store.kind === 'sqlite') files.push(['BROKER_LEDGER_URL', store.path])
  if (config.witness.kind === 'policy') files.push(['BROKER_WITNESS_POLICY', config.witness.policyPath])
  const owner = new Map<string, string>()
  for (const [name, file] of files) {
    const other = owner.get(file)
    if (other !== undefined) env.problems.push(`${name} and ${other} name the same file: give each its own`)
    owner.set(file, name)
  }
}

function warnOfOpenBind(env: Environment, bind: string): void {
  if (isLoopback(bind)) return
  env.warnings.push(
    `--bind ${bind} is no loopback address: bearers and credentials cross the network in clear unless a proxy ends TLS`,
  )
}

/** Keys of an IAM user are not chained, so they may have more. */
function warnOfChaining(env: Environment, { aws, policy: { sessionDurationSeconds } }: Config): void {
  if (aws.kind !== 'assume-role' || aws.credentials.kind === 'static' || sessionDurationSeconds <= 3600)
    return
  env.warnings.push(
    `BROKER_SESSION_DURATION_SECONDS=${sessionDurationSeconds}: AWS refuses more than 3600 when a role (an instance profile, say) assumes the data role`,
  )
}

function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value)) {
    if (typeof member === 'object' && member !== null) deepFreeze(member as object)
  }
  return Object.freeze(value)
}
