// What the mail router works with: a bucket, and the table of inboxes.

import type { Wallet } from '../domain/wallet.js'

/** Where mail arrives and where it goes. Every method rejects when it is not known whether it was done: it is done again. */
export interface MailStore {
  /** The message ids in `inbound/`, a page at a time: however many there are, one page is held. */
  inbound(): AsyncIterable<readonly string[]>
  /** The first bytes of the message, as latin1; undefined when it is gone. */
  head(messageId: string): Promise<string | undefined>
  /** Durable when it resolves, the same bytes however often it is done. False when the message is gone. */
  copy(messageId: string, key: string): Promise<boolean>
  /** Of what is gone as well. */
  remove(messageId: string): Promise<void>
}

/** The table of inboxes. */
export interface InboxOwners {
  /** The wallet that has the address; undefined where no wallet has it. Rejects when that is not known. */
  ownerOf(address: string): Promise<Wallet | undefined>
}
