// The configuration as it may be shown: built member by member, so that a new secret is not shown by being forgotten here.

import { createHash } from 'node:crypto'

import type { Config } from '../config.js'
import { canonicalize, type Json } from '../domain/ledger/canonical.js'
import { parseAddress } from '../event-store/eventstoredb/address.js'
import { formatAddress } from './address.js'
import type { AwsConfig } from './aws.js'
import type { ReleasePolicy } from '../domain/release.js'
import type { LedgerStoreConfig } from './ledger.js'
import type { WitnessConfig } from './witness.js'

/** What decides who gets what, and where it is recorded. Nothing that only says where on this machine things are. */
export function effectiveConfig({
  issuer,
  policy,
  policyFiles,
  limits,
  grantsRequired,
  approvals,
  jwksCacheSeconds,
  backend,
  aws,
  ledger,
  witness,
  release,
}: Config): Record<string, Json> {
  return {
    issuer,
    policy: {
      ...(policy.dataRoleArn === undefined ? {} : { dataRoleArn: policy.dataRoleArn }),
      allowedRoleArns: policy.allowedRoleArns,
      readOnlyRoleArns: policy.readOnlyRoleArns,
      allowedAudiences: policy.allowedAudiences,
      jwtTtlSeconds: policy.jwtTtlSeconds,
      sessionDurationSeconds: policy.sessionDurationSeconds,
      sourceIdentity: policy.sourceIdentity,
    },
    ...shownPolicyFiles(policyFiles),
    limits: shownLimits(limits),
    grantsRequired,
    approvals: { seconds: approvals.seconds, approvers: approvals.approvers },
    jwksCacheSeconds,
    backend: backend.kind === 'http' ? { kind: backend.kind, url: backend.url } : { kind: backend.kind },
    aws: shownAws(aws),
    ledger: { store: shownStore(ledger.store), origin: ledger.origin, entries: ledger.entries },
    witness: shownWitness(witness),
    release: shownRelease(release),
  }
}

function shownRelease({ requires, witnessedRoles, witnessedAudiences }: ReleasePolicy): Json {
  return { requires, witnessedRoles, witnessedAudiences }
}

/** For BrokerStarted: lower-case hex. */
export function configSha256(config: Config): string {
  return createHash('sha256')
    .update(canonicalize(effectiveConfig(config)))
    .digest('hex')
}

/** For --print-config: the effective configuration, and what is this machine's own. */
export function describeConfig(config: Config): Record<string, Json> {
  const { backend, clients, ledger, policyFiles, witness } = config
  return {
    ...effectiveConfig(config),
    node: {
      ...(config.nodeId === undefined ? {} : { nodeId: config.nodeId }),
      listen: formatAddress({ host: config.bind, port: config.port }),
      ...(backend.kind === 'embedded'
        ? { sessionBind: formatAddress(backend.bind) }
        : { backendTimeoutSeconds: backend.timeoutSeconds }),
      ...(clients.sessionUrl === undefined ? {} : { sessionUrl: clients.sessionUrl }),
      ...(clients.bucket === undefined ? {} : { dataBucket: clients.bucket }),
      mailDomain: clients.mailDomain,
      ...(clients.mailRouterTokenFile === undefined
        ? {}
        : { mailRouterTokenFile: clients.mailRouterTokenFile }),
      dataDir: config.dataDir,
      ...(policyFiles.folder === undefined ? {} : { policyFolder: policyFiles.folder }),
      ...(policyFiles.candidateFolder === undefined
        ? {}
        : { policyCandidateFolder: policyFiles.candidateFolder }),
      ...(ledger.store.kind === 'sqlite' ? { ledgerPath: ledger.store.path } : {}),
      ledgerKeyPath: ledger.keyPath,
      ...(witness.kind === 'policy' ? { witnessPolicyPath: witness.policyPath } : {}),
      oidcKeypairPath: config.oidcKeypairPath,
      auditDbPath: config.auditDbPath,
      auditorTokenFile: config.auditorTokenFile,
      operatorTokenFile: config.operatorTokenFile,
      longestPauseDays: config.longestPauseDays,
      shutdownGraceSeconds: config.shutdownGraceSeconds,
      logLevel: config.logLevel,
      skipStartupCheck: config.skipStartupCheck,
      insecureLedger: config.insecureLedger,
    },
  }
}

/** What is in the folder has a hash and an entry of its own. */
function shownPolicyFiles({ folder, timezone }: Config['policyFiles']): Record<string, Json> {
  return folder === undefined ? {} : { policyFiles: { timezone } }
}

function shownLimits({ wallet, session, broker }: Config['limits']): Json {
  return {
    walletPerMinute: wallet ?? null,
    sessionPerMinute: session ?? null,
    brokerPerMinute: broker ?? null,
  }
}

function shownAws(aws: AwsConfig): Json {
  if (aws.kind === 'off') return { kind: aws.kind }
  return {
    kind: aws.kind,
    region: aws.region,
    stsKind: aws.stsKind,
    stsEndpoint: aws.stsEndpoint,
    ...(aws.kind === 'assume-role' ? { credentials: aws.credentials.kind } : {}),
  }
}

function shownWitness(witness: WitnessConfig): Json {
  if (witness.kind === 'none') return { kind: witness.kind }
  const { kind, refreshSeconds, timeoutSeconds, gapMs } = witness
  return { kind, refreshSeconds, timeoutSeconds, gapMs }
}

function shownStore(store: LedgerStoreConfig): Json {
  if (store.kind === 'sqlite') return { kind: store.kind }
  return { kind: store.kind, url: parseAddress(store.url).name, stream: store.stream }
}
