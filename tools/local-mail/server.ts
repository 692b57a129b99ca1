// An SMTP listener that does with a message what a receipt rule of SES does: writes its own headers above it, and stores
// the whole under the message id. For the demo and tests; it sends nothing on.

import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'

import { SMTPServer, type SMTPServerSession } from 'smtp-server'

/** What SES takes at most. */
const MOST_BYTES = 40 * 1024 * 1024

export interface LocalMailOptions {
  /** The identity that the receipt rule is for. Mail for another is refused, as by SES. */
  domain: string
  /** Stores the object; SMTP says no to its client when it rejects. */
  store: (messageId: string, message: Buffer) => Promise<void> | void
  region?: string
  port?: number
}

/** How the next messages are treated, until it is set otherwise. */
export interface Behaviour {
  /** Resolves when the message may be stored: late mail. */
  hold?: Promise<void> | undefined
  /** How many objects one message becomes: SES promises one at least. */
  copies?: number
  /** Whether `Received:` names every recipient of a transaction that has several, or none. */
  naming?: 'all' | 'none'
}

export interface LocalMail {
  host: string
  port: number
  /** The ids of what was stored, in order. */
  readonly stored: readonly string[]
  behave(behaviour: Behaviour): void
  close(): Promise<void>
}

export async function startLocalMail(options: LocalMailOptions): Promise<LocalMail> {
  const { domain, port = 0 } = options
  const rule = new ReceiptRule(options)
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    size: MOST_BYTES,
    onRcptTo: ({ address }, _session, callback) => {
      const ours = address.toLowerCase().endsWith(`@${domain}`)
      callback(ours ? null : refusal(550, 'Requested action not taken: mailbox unavailable'))
    },
    onData: (stream, session, callback) => {
      rule.apply(stream, session).then(
        () => callback(null),
        (error: Error) => callback(refusal(error instanceof TooLarge ? 552 : 451, error.message)),
      )
    },
  })
  server.on('error', () => undefined)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return {
    host: '127.0.0.1',
    port: (server.server.address() as AddressInfo).port,
    stored: rule.stored,
    behave: (behaviour) => (rule.behaviour = behaviour),
    close: () => new Promise((resolve) => server.close(resolve)),
  }
}

class TooLarge extends Error {}

class ReceiptRule {
  readonly stored: string[] = []
  behaviour: Behaviour = {}

  constructor(private readonly options: LocalMailOptions) {}

  async apply(stream: Readable & { sizeExceeded?: boolean }, session: SMTPServerSession): Promise<void> {
    const message = await buffer(stream)
    if (stream.sizeExceeded) throw new TooLarge('Message too large')
    const { hold, copies = 1 } = this.behaviour
    await hold
    for (let copy = 0; copy < copies; copy += 1) {
      const id = randomBytes(20).toString('hex')
      await this.options.store(id, Buffer.concat([this.headers(id, message, session), message]))
      this.stored.push(id)
    }
  }

  private headers(id: string, message: Buffer, session: SMTPServerSession): Buffer {
    const { region = 'us-east-1' } = this.options
    const { hostNameAppearsAs: helo, remoteAddress, envelope } = session
    const recipients = envelope.rcptTo.map(({ address }) => address)
    const named = recipients.length === 1 || this.behaviour.naming === 'all'
    const sender = envelope.mailFrom ? envelope.mailFrom.address : ''
    const lines = [
      `Return-Path: <${sender}>`,
      `Received: from ${String(helo)} (${String(helo)} [${remoteAddress}])`,
      ` by inbound-smtp.${region}.amazonaws.com with SMTP id ${id}${named ? '' : ';'}`,
      ...(named ? [` for ${recipients.join(', ')};`] : []),
      ` ${new Date().toUTCString()}`,
      `X-SES-Spam-Verdict: ${message.includes(SPAM) ? 'FAIL' : 'PASS'}`,
      `X-SES-Virus-Verdict: ${message.includes(VIRUS) ? 'FAIL' : 'PASS'}`,
      `Received-SPF: none (spfCheck: local) client-ip=${remoteAddress}; envelope-from=${sender}; helo=${String(helo)};`,
    ]
    return Buffer.from(`${lines.join('\r\n')}\r\n`, 'latin1')
  }
}

/** GTUBE and EICAR, which scanners agree to find. In two parts, so that none finds this file. */
export const SPAM = 'XJS*C4JDBQADN1.NSBN3*2IDNEN*' + 'GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X'
export const VIRUS = 'X5O!P%@AP[4\\PZX54(P^)7CC)7}$' + 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'

function refusal(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode })
}
