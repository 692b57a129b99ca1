// Faults on order: what a test wants STS or S3 to do instead of its work, and for how many calls.

import type { Socket } from 'node:net'
import { setTimeout as after } from 'node:timers/promises'

import { KEY_RETRIEVAL_MESSAGE, STATUS, type StsErrorCode } from './errors.js'

export type Fault =
  /** Answers with this wire error. `status` defaults to the code's own, or 400 for a code STS does not have. */
  | { kind: 'error'; code: string; message?: string; status?: number }
  /** Does the work, but not before `ms` milliseconds have passed. */
  | { kind: 'delay'; ms: number }
  /** Takes the request and never answers. */
  | { kind: 'hang' }
  /** Takes the request and closes the connection. */
  | { kind: 'drop' }
  /** 200, well-formed, and no credentials in it. */
  | { kind: 'empty' }

export interface FaultOrder {
  fault: Fault
  /** How many calls it is for; 'all' until clear(). Default 1. */
  times?: number | 'all'
  /** Only calls of this action. */
  action?: string
}

/** What STS answers when the issuer's keys cannot be had: the one InvalidIdentityToken that may pass. */
export const KEY_RETRIEVAL_FAILED: Fault = {
  kind: 'error',
  code: 'InvalidIdentityToken',
  message: KEY_RETRIEVAL_MESSAGE,
}

const MESSAGES: Partial<Record<string, string>> = {
  AccessDenied: 'Not authorized to perform sts:AssumeRoleWithWebIdentity',
  IDPCommunicationError: 'An error occurred when communicating with the identity provider',
  IDPRejectedClaim: 'The identity provider reported that authentication failed',
  InternalFailure: 'The request processing has failed because of an unknown error, exception or failure.',
  PackedPolicyTooLarge: 'Packed size of session tags consumes 112% of allotted space.',
  RegionDisabledException:
    'STS is not activated in this region for account:111122223333. Your account administrator can activate STS in this region using the IAM Console.',
  Throttling: 'Rate exceeded',
} satisfies Partial<Record<StsErrorCode, string>>

/** An error fault with its status and message filled in. */
function wireError({ code, message, status }: Extract<Fault, { kind: 'error' }>): {
  code: string
  status: number
  message: string
} {
  return {
    code,
    status: status ?? (code in STATUS ? STATUS[code as StsErrorCode] : 400),
    message: message ?? MESSAGES[code] ?? `${code} on order`,
  }
}

interface Misbehaviour {
  socket: Socket
  /** Ends a delay. */
  signal: AbortSignal
  refuse: (error: { code: string; status: number; message: string }) => void
}

/** Does what a fault orders. The outcome when that is all: the request is dealt with, or never will be. */
export async function misbehave(
  fault: Fault | undefined,
  { socket, signal, refuse }: Misbehaviour,
): Promise<string | undefined> {
  switch (fault?.kind) {
    case undefined:
    case 'empty':
      return undefined
    case 'delay':
      await after(fault.ms, undefined, { signal })
      return undefined
    case 'hang':
      return 'hang'
    case 'drop':
      socket.destroy()
      return 'drop'
    case 'error': {
      const error = wireError(fault)
      refuse(error)
      return error.code
    }
  }
}

/** The orders still open, oldest first. */
export class Faults {
  #orders: { fault: Fault; left: number; action: string | undefined }[] = []

  order({ fault, times = 1, action }: FaultOrder): void {
    const left = times === 'all' ? Infinity : times
    if (!(left === Infinity || (Number.isSafeInteger(left) && left > 0))) {
      throw new RangeError("times must be a whole number above 0, or 'all'")
    }
    this.#orders.push({ fault, left, action })
  }

  /** The fault for a call of `action`, if one is on order. Uses it up. */
  take(action: string): Fault | undefined {
    const order = this.#orders.find((one) => one.action === undefined || one.action === action)
    if (!order) return undefined
    order.left -= 1
    if (order.left === 0) this.#orders = this.#orders.filter((one) => one !== order)
    return order.fault
  }

  clear(): void {
    this.#orders = []
  }
}
