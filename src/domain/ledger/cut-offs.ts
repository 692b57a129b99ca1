// Whom, and what, the operator has cut off. The decision, the sequencer and the verifier ask the same set.

import type { Entry } from './entry.js'
import type { ParentSession } from './child-session.js'
import type { CutOffKind, CutOffTarget, EventOf } from './events.js'
import { schemaProblem } from './event-schemas.js'

/** A credential in the making: whom it is for, and what. */
export interface Subject {
  readonly mintId: string
  readonly wallet: string
  readonly tokenSha256: string
  readonly parents: readonly ParentSession[]
  readonly roleArn: string | undefined
}

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** A session's prefix keeps a bearer of 64 hex digits, pasted by mistake, out of the ledger. */
const FORM: Record<CutOffKind, RegExp> = {
  wallet: /^0x[0-9a-f]{40}$/,
  session: /^sha256:[0-9a-f]{64}$/,
  mint: UUID_V7,
  role: /^arn:aws[a-z-]*:iam::\d{12}:role\/[\x21-\x7e]+$/,
}

export const TARGET_FORM: Record<CutOffKind, string> = {
  wallet: '0x and 40 lower-case hex digits',
  session: "sha256: and the SHA-256 of the session's bearer, as token_sha256 in the audit",
  mint: 'a mint id',
  role: 'the ARN of a role',
}

export const CUT_OFF_KINDS = Object.keys(FORM) as readonly CutOffKind[]

export function isCutOffTarget({ kind, target }: { kind: string; target: string }): boolean {
  return Object.hasOwn(FORM, kind) && FORM[kind as CutOffKind].test(target)
}

/** So many may be cut off at once: what is remembered of a ledger is bounded. */
export const MOST_CUT_OFFS = 100_000

export type CutOffEvent = EventOf<'AccessCutOff' | 'AccessRestored'>

export class CutOffs {
  private readonly targets: Map<string, CutOffTarget>

  constructor(targets: Iterable<CutOffTarget> = []) {
    this.targets = new Map([...targets].map((target) => [keyOf(target), target]))
  }

  get size(): number {
    return this.targets.size
  }

  has(target: CutOffTarget): boolean {
    return this.targets.has(keyOf(target))
  }

  all(): CutOffTarget[] {
    return [...this.targets.values()]
  }

  copy(): CutOffs {
    return new CutOffs(this.targets.values())
  }

  /** Through what the subject is cut off; a child also through the sessions and wallets that it comes from. */
  covering({ mintId, wallet, tokenSha256, parents, roleArn }: Subject): CutOffKind | undefined {
    if (this.targets.size === 0) return undefined
    const is = (kind: CutOffKind, target: string) => this.targets.has(`${kind} ${target}`)
    if (is('mint', mintId)) return 'mint'
    if (roleArn !== undefined && is('role', roleArn)) return 'role'
    for (const session of [{ wallet, tokenSha256 }, ...parents]) {
      if (is('wallet', session.wallet)) return 'wallet'
      if (is('session', `sha256:${session.tokenSha256}`)) return 'session'
    }
    return undefined
  }

  /** The event is in the ledger. False: there is no room for it. To say the same twice changes nothing. */
  take({ type, data: { kind, target } }: CutOffEvent): boolean {
    const key = keyOf({ kind, target })
    if (type === 'AccessRestored') this.targets.delete(key)
    else if (this.targets.size >= MOST_CUT_OFFS && !this.targets.has(key)) return false
    else this.targets.set(key, { kind, target })
    return true
  }
}

function isOfCutOffs(type: string): type is CutOffEvent['type'] {
  return type === 'AccessCutOff' || type === 'AccessRestored'
}

/** As they are after `entries`: the same object where none of them is about a cut-off. */
export function cutOffsAfter(cutOffs: CutOffs, entries: readonly { entry: Entry }[]): CutOffs {
  let after = cutOffs
  for (const { entry } of entries) {
    if (!isOfCutOffs(entry.type) || schemaProblem(entry.type, entry.data)) continue
    if (after === cutOffs) after = cutOffs.copy()
    after.take(entry as unknown as CutOffEvent)
  }
  return after
}

function keyOf({ kind, target }: CutOffTarget): string {
  return `${kind} ${target}`
}
