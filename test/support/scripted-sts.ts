import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

// STS as far as the wire goes, on a real socket: each connection carries one request and gets the next reply of the
// script. It knows no rules of AWS; it plays what a test wants STS, or whatever stands in its place, to do.

export type Reply = (socket: Socket, form: URLSearchParams) => void

/** A request as it came in: `head` is the request line and headers, byte for byte. */
export interface SeenRequest {
  head: string
  form: URLSearchParams
}

export interface ScriptedSts {
  url: string
  requests: SeenRequest[]
  stop: () => Promise<void>
}

export async function scriptedSts(...script: Reply[]): Promise<ScriptedSts> {
  const requests: SeenRequest[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket)))
    let received = ''
    socket.setEncoding('latin1').on('data', (text: string) => {
      received += text
      const request = wholeRequest(received)
      if (!request) return
      received = ''
      requests.push(request)
      const reply = script[requests.length - 1] ?? refused('ScriptIsOver', 500, 'no reply was scripted')
      reply(socket, request.form)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

function wholeRequest(received: string): SeenRequest | undefined {
  const end = received.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = received.slice(0, end)
  const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0)
  const body = received.slice(end + 4)
  return body.length < length ? undefined : { head, form: new URLSearchParams(body) }
}

/** Any HTTP answer. */
export function answered(status: number, body: string, contentType = 'text/xml'): Reply {
  return (socket) => {
    const length = Buffer.byteLength(body)
    socket.end(
      `HTTP/1.1 ${status} Scripted\r\ncontent-type: ${contentType}\r\ncontent-length: ${length}\r\nconnection: close\r\n\r\n${body}`,
    )
  }
}

/** A well-formed error answer of STS. */
export function refused(code: string, status: number, message: string): Reply {
  return answered(
    status,
    `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>` +
      `<Code>${xml(code)}</Code><Message>${xml(message)}</Message></Error><RequestId>r-1</RequestId></ErrorResponse>`,
  )
}

export const ISSUED = {
  AccessKeyId: 'ASIAEXAMPLEEXAMPLE01',
  SecretAccessKey: 'canary-issued-secret/access+key-0123456789',
  SessionToken: 'canary-issued-session-token/0123456789+abcdefghij==',
}

/** A successful answer to either AssumeRole; `change` overrides an element, or leaves it out where it is undefined. */
export function issued(change: Record<string, string | undefined> = {}): Reply {
  return (socket, form) => {
    const action = form.get('Action') ?? ''
    const role = /^arn:aws:iam::(\d+):role\/(?:.*\/)?(.*)$/.exec(form.get('RoleArn') ?? '')
    const arn = `arn:aws:sts::${role?.[1]}:assumed-role/${role?.[2]}/${form.get('RoleSessionName')}`
    const element = (name: string, value: string) => {
      const text = name in change ? change[name] : value
      return text === undefined ? '' : `<${name}>${xml(text)}</${name}>`
    }
    const secrets = Object.entries(ISSUED).map(([name, value]) => element(name, value))
    // Given as a member of its own, it stands for the element and all in it.
    const user = `<AssumedRoleId>AROAEXAMPLE:x</AssumedRoleId>${element('Arn', arn)}`
    const assumedRoleUser =
      'AssumedRoleUser' in change
        ? (change['AssumedRoleUser'] ?? '')
        : `<AssumedRoleUser>${user}</AssumedRoleUser>`
    const expiration = element('Expiration', '2026-11-20T13:00:00Z')
    const body =
      `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result>` +
      `<Credentials>${secrets.join('')}${expiration}</Credentials>` +
      assumedRoleUser +
      `${identityElements(form, element)}</${action}Result><ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></${action}Response>`
    answered(200, body)(socket, form)
  }
}

/** What AWS repeats of a token, and of AssumeRole's parameters. */
function identityElements(form: URLSearchParams, element: (name: string, value: string) => string): string {
  if (!form.has('WebIdentityToken')) {
    const asked = form.get('SourceIdentity')
    return asked === null ? '' : element('SourceIdentity', asked)
  }
  const { subject, audience, sourceIdentity } = IDENTITY
  return (
    element('SubjectFromWebIdentityToken', subject) +
    element('Audience', audience) +
    element('Provider', 'arn:aws:iam::111122223333:oidc-provider/broker.example.com') +
    element('SourceIdentity', sourceIdentity)
  )
}

/** Of the holder of every token that scripted answers are about. */
export const IDENTITY = {
  issuer: 'https://broker.example.com',
  subject: 'agentkeys:agent:0x00112233445566778899aabbccddeeff00112233',
  audience: 'sts.amazonaws.com',
  sourceIdentity: '0x00112233445566778899aabbccddeeff00112233',
}

export const callerIdentity: Reply = answered(
  200,
  '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>' +
    '<Arn>arn:aws:iam::111122223333:user/agentkeys-daemon</Arn><UserId>AIDAEXAMPLE</UserId>' +
    '<Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>',
)

/** Reads the question and says nothing. */
export const silent: Reply = () => undefined

/** Begins an answer and never ends it. */
export const stalled: Reply = (socket) => socket.write(BEGUN)

/** A good head, then a body without end, as fast as it is taken. */
export const endless: Reply = (socket) => {
  const chunk = 'x'.repeat(16 * 1024)
  const more = () => {
    while (!socket.destroyed && socket.write(chunk));
  }
  socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\nconnection: close\r\n\r\n')
  socket.on('drain', more)
  more()
}

/** A good head, then a body that comes byte by byte and has no end. */
export const dripping: Reply = (socket) => {
  socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\nconnection: close\r\n\r\n')
  const timer = setInterval(() => socket.write('x'), 10)
  socket.on('close', () => clearInterval(timer))
}

/** Breaks the connection before the first byte of an answer. */
export const reset: Reply = (socket) => socket.resetAndDestroy()

/** Breaks the connection in the middle of an answer. */
export const torn: Reply = (socket) => socket.write(BEGUN, () => socket.resetAndDestroy())

/** Something that does not speak HTTP. */
export const spoken =
  (bytes: string): Reply =>
  (socket) =>
    socket.end(bytes)

const BEGUN = 'HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: 900\r\n\r\n<AssumeRoleWith'

function xml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
