import { CUT_OFF_KINDS } from '../domain/ledger/cut-offs.js'
import type { CutOffKind } from '../domain/ledger/events.js'
import { oneOf, Optional, Required, text } from './fields.js'

/** The body of POST /v1/cut-off and of POST /v1/restore. */
export class CutOffBody {
  @Required(oneOf(CUT_OFF_KINDS))
  readonly kind!: CutOffKind

  /** Its form depends on the kind: the controller says so, since no field sees both. */
  @Required(text(1, 2048))
  readonly target!: string

  @Optional(text(1, 500))
  readonly reason?: string
}
