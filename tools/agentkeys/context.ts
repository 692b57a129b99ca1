// What every command works with: the broker, its folder, the session, the client. A flag beats its variable.

import type { BrokerClient, ReceiptMode } from '../client/broker-client.js'
import { parseBrokerUrl } from '../client/broker-url.js'

import { type Call, UsageError, type Values } from './command.js'
import type { SessionName } from './daemon-client.js'
import { BrokerHome } from './home.js'
import { CliError } from './report-error.js'
import { DEFAULT_ID, findSession, type FoundSession, parseSessionId } from './sessions.js'

export const DEFAULT_BROKER = 'http://127.0.0.1:8091'

export class Context {
  readonly home: BrokerHome
  readonly sessionId: string
  /** By the flag or the variable; otherwise it is the one that a local broker has by default. */
  readonly brokerIsNamed: boolean
  readonly json: boolean
  private readonly receipts: ReceiptMode | undefined

  constructor(
    private readonly values: Values,
    private readonly env: NodeJS.ProcessEnv = process.env,
  ) {
    const named = this.text('broker-url', 'AGENTKEYS_BROKER_URL')
    this.brokerIsNamed = named !== undefined
    this.home = new BrokerHome(parseBrokerUrl(named ?? DEFAULT_BROKER))
    this.sessionId = parseSessionId(this.text('session-id', 'AGENTKEYS_SESSION_ID') ?? DEFAULT_ID)
    this.json = values['json'] === true
    this.receipts = parseReceipts(this.text('receipts'))
  }

  /** What the daemon knows a session by. */
  get sessionName(): SessionName {
    return { brokerUrl: this.home.url.href, sessionId: this.sessionId }
  }

  static of({ values }: Call): Context {
    return new Context(values)
  }

  /** The option, else the variable. An empty variable is one that is not set. */
  text(option: string, variable?: string): string | undefined {
    const value = this.values[option]
    if (typeof value === 'string') return value
    return variable === undefined ? undefined : this.variable(variable)
  }

  private variable(name: string): string | undefined {
    const value = this.env[name]
    return value === '' ? undefined : value
  }

  /** The session bearer and where it comes from; undefined without one. */
  async session(): Promise<FoundSession | undefined> {
    const given = this.values['session']
    const bearer = { wallet: '', createdAt: 0 }
    if (typeof given === 'string') {
      this.note('--session shows the bearer to every user of this machine: set AGENTKEYS_SESSION instead')
      return { ...bearer, token: given, place: 'option' }
    }
    const token = this.variable('AGENTKEYS_SESSION')
    if (token !== undefined) return { ...bearer, token, place: 'environment' }
    return findSession(this.home, this.sessionId)
  }

  async requireSession(): Promise<FoundSession> {
    const found = await this.session()
    if (found && found.token !== '') return found
    const which = this.sessionId === DEFAULT_ID ? '' : ` ${this.sessionId}`
    throw new CliError(
      `there is no session${which} for ${this.home.url.href}`,
      'get one: agentkeys init, or name another broker with AGENTKEYS_BROKER_URL',
      1,
    )
  }

  /** The same with another bearer. */
  as(token: string): Context {
    return new Context({ ...this.values, session: undefined }, { ...this.env, AGENTKEYS_SESSION: token })
  }

  /** A client that refuses what the pinned ledger does not prove. A broker that is new is pinned. */
  async client(): Promise<BrokerClient> {
    const { token } = await this.requireSession()
    // Verification of receipts is most of what there is to load.
    const [{ BrokerClient }, { pinFirstUse }] = await Promise.all([
      import('../client/broker-client.js'),
      import('./pin.js'),
    ])
    const pin = this.receipts === 'off' ? undefined : await pinFirstUse(this.home, (line) => this.note(line))
    return new BrokerClient({
      url: this.home.url.href,
      session: token,
      ledgerVkey: pin?.vkey,
      receipts: this.receipts ?? 'require',
      onReceiptProblem: ({ message }) => this.note(`the receipt does not verify: ${message}`),
    })
  }

  /** A line for people, on stderr. */
  note(line: string): void {
    process.stderr.write(`agentkeys: ${line}\n`)
  }

  /** For --verbose only. */
  detail(line: string): void {
    if (this.values['verbose'] === true) this.note(line)
  }

  /** Prints `value` as JSON with --json, else `text`. */
  print(value: object, text: string): void {
    process.stdout.write(this.json ? `${JSON.stringify(value)}\n` : `${text}\n`)
  }
}

function parseReceipts(mode: string | undefined): ReceiptMode | undefined {
  switch (mode) {
    case undefined:
    case 'require':
    case 'warn':
    case 'off':
      return mode
    default:
      throw new UsageError('--receipts: one of require, warn, off')
  }
}
