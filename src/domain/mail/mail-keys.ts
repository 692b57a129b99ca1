// Where mail lies in the bucket. Each of the three is a permission of its own: docs/mail.md.

import type { Wallet } from '../wallet.js'

/** SES writes here, and the mail router alone reads. */
export const INBOUND = 'inbound/'
/** What could not be delivered: for the operator. */
export const UNDELIVERED = 'undelivered/'

/** SES's own have 40 letters and digits. Nothing in one has a meaning in a key. */
const MESSAGE_ID = /^[A-Za-z0-9_-]{1,128}$/

/** The message id of an object in `inbound/`; undefined for what SES did not put there. */
export function messageIdOf(key: string): string | undefined {
  const id = key.startsWith(INBOUND) ? key.slice(INBOUND.length) : ''
  return MESSAGE_ID.test(id) ? id : undefined
}

/** Inside the prefix that the wallet's AWS credentials are held to. Its last slash keeps one wallet out of names that begin alike. */
export function inboxPrefix(wallet: Wallet): string {
  return `users/${wallet}/inbox/`
}
