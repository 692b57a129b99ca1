import { FormatError, type FormatErrorCode } from '../../src/domain/ledger/encoding.js'

/** The code with which `read` refuses, undefined when it does not. Anything but a FormatError is let through. */
export function refusal(read: () => unknown): FormatErrorCode | undefined {
  try {
    read()
    return undefined
  } catch (error) {
    if (error instanceof FormatError) return error.code
    throw error
  }
}
