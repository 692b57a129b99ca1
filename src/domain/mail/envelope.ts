// What SES says of a message it has received: the headers that it puts above the message. Everything below them, `To:`
// included, is the sender's text.
//
//   Return-Path: <…>
//   Received: from … by inbound-smtp.REGION.amazonaws.com with SMTP id MESSAGE-ID for RECIPIENT; DATE
//   X-SES-Spam-Verdict: …
//   X-SES-Virus-Verdict: …

const VERDICTS = ['PASS', 'FAIL', 'GRAY', 'PROCESSING_FAILED'] as const
export type Verdict = (typeof VERDICTS)[number]

export interface Envelope {
  /** In lower case. */
  recipients: readonly string[]
  spam: Verdict
  virus: Verdict
}

export type EnvelopeReading =
  | { ok: true; envelope: Envelope }
  /** no-envelope: it does not say for whom it was received. not-scanned: the receipt rule does not scan. */
  | { ok: false; problem: 'no-envelope' | 'not-scanned' }

/** RFC 5321 allows more in a local part. An inbox of ours has no more, and what has more is no inbox of ours. */
const RECIPIENT = /^[a-z0-9._+-]{1,64}@[a-z0-9.-]{1,190}$/
const BY_SES =
  / by inbound-smtp\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)? with [A-Z]+ id ([A-Za-z0-9]+) for ([^;]+);[^;]*$/

/**
 * `head`: the message's first bytes, as latin1. The sender cannot know the message id, which SES makes and names the
 * object by: a `Received:` that holds it is SES's own, whatever the sender wrote below it or said in HELO.
 */
export function readEnvelope(head: string, messageId: string): EnvelopeReading {
  const headers = topHeaders(head)
  const received = headers[0]?.name === 'return-path' ? 1 : 0
  const recipients = recipientsOf(headers[received], messageId)
  if (!recipients) return { ok: false, problem: 'no-envelope' }
  // SES writes them next. Further below, a verdict could be the sender's.
  const spam = verdictOf(headers[received + 1], 'x-ses-spam-verdict')
  const virus = verdictOf(headers[received + 2], 'x-ses-virus-verdict')
  if (!spam || !virus) return { ok: false, problem: 'not-scanned' }
  return { ok: true, envelope: { recipients, spam, virus } }
}

interface Header {
  name: string
  value: string
}

const MOST_HEADERS = 4

/** The first ones, unfolded. */
function topHeaders(head: string): Header[] {
  const lines = head.split(/\r?\n/)
  const headers: Header[] = []
  for (const line of lines) {
    const last = headers.at(-1)
    if (/^[ \t]/.test(line) && last) {
      last.value += ` ${line.trim()}`
      continue
    }
    const [, name, value] = /^([!-9;-~]+):(.*)$/.exec(line) ?? []
    if (name === undefined || value === undefined || headers.length === MOST_HEADERS) break
    headers.push({ name: name.toLowerCase(), value: value.trim() })
  }
  return headers
}

/** Undefined where one cannot be read: a recipient that is left out would lose the mail without a word. */
function recipientsOf(header: Header | undefined, messageId: string): string[] | undefined {
  if (header?.name !== 'received') return undefined
  // A second one is the sender's, in HELO or in a quoted recipient: which is which is not to be guessed.
  if (header.value.split(' by inbound-smtp.').length !== 2) return undefined
  const [, id, list] = BY_SES.exec(header.value) ?? []
  if (id !== messageId || list === undefined) return undefined
  const recipients = list.split(',').map((one) =>
    one
      .trim()
      .replace(/^<(.*)>$/, '$1')
      .toLowerCase(),
  )
  return recipients.every((one) => RECIPIENT.test(one)) ? [...new Set(recipients)] : undefined
}

function verdictOf(header: Header | undefined, name: string): Verdict | undefined {
  return header?.name === name ? VERDICTS.find((one) => one === header.value) : undefined
}
