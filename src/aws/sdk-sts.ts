// STS through the AWS SDK. The SDK signs, sends and parses; when to ask again, and what to say of a failure, is decided here.

import { setTimeout as pause } from 'node:timers/promises'

import {
  AssumeRoleCommand,
  AssumeRoleWithWebIdentityCommand,
  GetCallerIdentityCommand,
  STSClient,
  type STSClientConfig,
} from '@aws-sdk/client-sts'

import type { StsKind } from '../config/aws.js'
import { boundedBody } from '../remote/bounded-reply.js'
import { ConnectionLimit, type GivenUp } from '../remote/connection-limit.js'
import { type StsAnswer, usableCredentials } from './sts-credentials.js'
import { failure, failureOf, isPassing, stsRefusal } from './sts-failure.js'
import { checkSourceIdentity, checkWebIdentity } from './sts-identity.js'
import {
  type AssumeRoleAsk,
  type AwsCredentials,
  type SessionAsk,
  Sts,
  StsError,
  StsOverloaded,
  type WebIdentityAsk,
} from './sts.js'

export interface StaticKeys {
  accessKeyId: string
  secretAccessKey: string
}

/** How the broker proves to STS that it may have a session. Without static keys, the SDK's default chain finds some. */
export type StsAccess = { mode: 'web-identity' } | { mode: 'assume-role'; staticKeys?: StaticKeys }

export interface SdkStsOptions {
  access: StsAccess
  kind: StsKind
  region: string
  endpoint: string
  timeouts?: StsTimeouts
  now?: () => number
  sleep?: (ms: number) => Promise<void>
}

export interface StsTimeouts {
  connectMs: number
  /** One question and its whole answer. */
  attemptMs: number
  /** All attempts and the pauses between them. */
  totalMs: number
}

const TIMEOUTS: StsTimeouts = { connectMs: 5_000, attemptMs: 10_000, totalMs: 20_000 }
const MAX_ATTEMPTS = 3
const FIRST_PAUSE_MS = 400
const MAX_SOCKETS = 256
const GIVEN_UP: GivenUp = {
  late: () => failure('timeout', 'STS did not answer in time'),
  busy: () => new StsOverloaded(),
}

export class SdkSts extends Sts {
  readonly mode: StsAccess['mode']
  readonly region: string
  private readonly access: StsAccess
  private readonly kind: StsKind
  private readonly unsigned: STSClient
  private readonly signed: STSClient | undefined
  private readonly connections = new ConnectionLimit(MAX_SOCKETS)
  private readonly timeouts: StsTimeouts
  private readonly now: () => number
  private readonly sleep: (ms: number) => Promise<void>

  constructor(options: SdkStsOptions) {
    super()
    this.mode = options.access.mode
    this.region = options.region
    this.access = options.access
    this.kind = options.kind
    this.timeouts = options.timeouts ?? TIMEOUTS
    this.now = options.now ?? Date.now
    this.sleep = options.sleep ?? pause
    const common = clientConfig(options, this.timeouts)
    // Only ever "no authentication": whatever AWS_* variables the process has, nothing can sign or add a session token.
    // STS refuses a web identity that comes with one, and blames the verification key.
    this.unsigned = bounded(
      new STSClient({ ...common, httpAuthSchemeProvider: () => [{ schemeId: 'smithy.api#noAuth' }] }),
    )
    if (options.access.mode === 'assume-role') {
      const { staticKeys } = options.access
      this.signed = bounded(new STSClient({ ...common, ...(staticKeys && { credentials: staticKeys }) }))
    }
  }

  async withWebIdentity(ask: WebIdentityAsk): Promise<AwsCredentials> {
    const command = new AssumeRoleWithWebIdentityCommand({
      RoleArn: ask.roleArn,
      RoleSessionName: ask.roleSessionName,
      DurationSeconds: ask.durationSeconds,
      WebIdentityToken: ask.jwt,
    })
    const answer = await this.ask((abortSignal) => this.unsigned.send(command, { abortSignal }), [ask.jwt])
    checkWebIdentity(answer, ask.roleArn, { asked: ask.identity, kind: this.kind })
    return this.usable(answer, ask)
  }

  async assumeRole(ask: AssumeRoleAsk): Promise<AwsCredentials> {
    const command = new AssumeRoleCommand({
      RoleArn: ask.roleArn,
      RoleSessionName: ask.roleSessionName,
      DurationSeconds: ask.durationSeconds,
      Tags: Object.entries(ask.tags).map(([Key, Value]) => ({ Key, Value })),
      TransitiveTagKeys: [...ask.transitiveTagKeys],
      ...(ask.sourceIdentity !== undefined && { SourceIdentity: ask.sourceIdentity }),
    })
    const answer = await this.askSigned((client, abortSignal) => client.send(command, { abortSignal }))
    if (this.kind === 's3-compatible' && !answer.SourceIdentity) return this.usable(answer, ask)
    if (ask.sourceIdentity !== undefined) checkSourceIdentity(answer, ask.sourceIdentity)
    return this.usable(answer, ask)
  }

  private usable(answer: StsAnswer, ask: SessionAsk): AwsCredentials {
    return usableCredentials(answer, ask, { kind: this.kind, now: this.now() })
  }

  async checkIdentity(): Promise<void> {
    if (this.access.mode === 'web-identity') return this.checkReachable()
    const command = new GetCallerIdentityCommand({})
    const { Arn } = await this.askSigned((client, abortSignal) => client.send(command, { abortSignal }))
    if (!Arn) throw failure('empty-response', 'STS answered 200 without a caller identity')
  }

  describeCredentials(): string {
    if (this.access.mode === 'web-identity')
      return 'AWS credentials: none needed (web identity: each call carries a JWT of this broker)'
    return this.access.staticKeys
      ? 'AWS credentials: static IAM-user keys (DAEMON_ACCESS_KEY_ID env)'
      : 'AWS credentials: SDK default chain (AWS_PROFILE / ~/.aws / IMDS)'
  }

  close(): void {
    this.unsigned.destroy()
    this.signed?.destroy()
  }

  /**
   * Without AWS credentials there is one thing to find out: that STS is there and talks. It tells an unsigned
   * GetCallerIdentity that the authentication token is missing; a captive portal, a proxy or a wrong port do not.
   */
  private async checkReachable(): Promise<void> {
    const command = new GetCallerIdentityCommand({})
    let refused: boolean
    try {
      refused = await this.ask(async (abortSignal) => {
        try {
          await this.unsigned.send(command, { abortSignal })
          return false
        } catch (thrown) {
          const refusal = stsRefusal(thrown)
          // Reachable, but no mint will succeed: that is worth a refusal to start.
          if (!refusal || refusal.status >= 500 || refusal.wireCode === 'RegionDisabledException')
            throw thrown
          return true
        }
      }, [])
    } catch (thrown) {
      if (thrown instanceof StsOverloaded) throw thrown
      if (thrown instanceof StsError && thrown.code !== 'region-disabled')
        throw new StsError('unreachable', thrown.message)
      throw thrown
    }
    if (!refused) throw failure('unreachable', 'what answers at the STS endpoint is not STS')
  }

  private async askSigned<T>(send: (client: STSClient, signal: AbortSignal) => Promise<T>): Promise<T> {
    const client = this.signed
    if (!client)
      throw failure('broker-credentials-refused', 'in web-identity mode the broker has no AWS credentials')
    const secrets: string[] = []
    return this.ask(async (signal) => {
      const { secretAccessKey, sessionToken } = await client.config.credentials()
      secrets.push(secretAccessKey, sessionToken ?? '')
      return send(client, signal)
    }, secrets)
  }

  private async ask<T>(send: (signal: AbortSignal) => Promise<T>, secrets: readonly string[]): Promise<T> {
    const deadline = this.now() + this.timeouts.totalMs
    for (let attempt = 1; ; attempt += 1) {
      try {
        // Bounds the whole of it, the SDK's search for credentials included, which listens to no signal.
        const ms = Math.min(this.timeouts.attemptMs, deadline - this.now())
        return await this.connections.request(ms, send, GIVEN_UP)
      } catch (thrown) {
        const failed = failureOf(thrown, secrets)
        const pauseMs = FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random() / 2)
        const spent = attempt === MAX_ATTEMPTS || this.now() + pauseMs >= deadline
        if (spent || !isPassing(failed.code)) throw failed
        await this.sleep(pauseMs)
      }
    }
  }
}

function clientConfig({ region, endpoint }: SdkStsOptions, { connectMs }: StsTimeouts): STSClientConfig {
  const agent = { keepAlive: true, maxSockets: MAX_SOCKETS }
  return {
    region,
    // Given, the endpoint is looked for nowhere else: no other AWS_ variable, no section of ~/.aws/config.
    endpoint,
    useFipsEndpoint: false,
    useDualstackEndpoint: false,
    useGlobalEndpoint: false,
    maxAttempts: 1,
    requestHandler: { connectionTimeout: connectMs, httpAgent: agent, httpsAgent: agent },
  }
}

/** The SDK reads a reply of any size into memory. At the lowest priority, this runs before the SDK's parser sees the body. */
function bounded(client: STSClient): STSClient {
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args)
      const response = result.response as { body: AsyncIterable<Uint8Array> | Uint8Array }
      if (!(response.body instanceof Uint8Array)) response.body = await boundedBody(response.body)
      return result
    },
    { step: 'deserialize', priority: 'low', name: 'boundedBody' },
  )
  return client
}
