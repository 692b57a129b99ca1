import { matching, oneOf, Optional, text } from './fields.js'

/** The query of GET /v1/approvals. */
export class ApprovalsQuery {
  @Optional(oneOf(['open', 'all']))
  state?: 'open' | 'all'
}

/** The query of GET /v1/approvals/:id. */
export class ApprovalQuery {
  @Optional(matching(/^(?:[0-9]|[1-4][0-9]|5[0-5])$/, '0 to 55 seconds'))
  wait?: string
}

/** The body of POST /v1/approvals/:id/approve and …/deny. */
export class DecideBody {
  /** In place of the operator's token. */
  @Optional(matching(/^0x[0-9a-fA-F]{130}$/, 'an EIP-191 signature, 0x and 130 hex digits'))
  readonly signature?: string

  @Optional(text(1, 500))
  readonly reason?: string
}
