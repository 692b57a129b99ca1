// What editors, shells and mail do to a file of evidence: it is the reader's copy that is at fault, not the ledger.

import { UsageError } from './usage-error.js'

/** Throws UsageError for a byte order mark, or a first line that ends in CRLF. `path` names the file in the message. */
export function refuseMangled(bytes: Uint8Array, path: string): void {
  const [a, b, c] = bytes
  const marked =
    (a === 0xef && b === 0xbb && c === 0xbf) || (a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff)
  if (marked)
    throw new UsageError(
      `${path} begins with a byte order mark, which no ledger writes: get the file again as it was`,
    )
  const end = bytes.indexOf(0x0a)
  if (end > 0 && bytes[end - 1] === 0x0d)
    throw new UsageError(
      `${path} has lines that end in CRLF: get the file again as it was, or take the CRs out`,
    )
}
