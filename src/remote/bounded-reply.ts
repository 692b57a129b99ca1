// The one limit on what a remote party may make us hold: STS, the session backend and witnesses all reply through here.

/** Far above every honest reply: STS takes 3 kB, a session 200 bytes, a witness's post-quantum signature 3.3 kB each. */
export const MAX_REPLY_BYTES = 64 * 1024

export class ReplyTooLarge extends Error {
  readonly code = 'REPLY_TOO_LARGE'

  constructor() {
    super(`the reply is larger than ${MAX_REPLY_BYTES / 1024} KiB`)
    this.name = 'ReplyTooLarge'
  }
}

/** The whole body. Leaving the loop destroys the stream, and with it the connection: nothing more is received. */
export async function boundedBody(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > MAX_REPLY_BYTES) throw new ReplyTooLarge()
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}
