import { Controller, Get, Header, Query } from '@nestjs/common'

import { BrokerError } from '../domain/errors.js'
import { AuditQuery, type MintFilter } from '../projections/audit-query.js'
import type { MintRow } from '../projections/mints.js'
import { AuditMintsQuery } from './audit.dto.js'
import { Bearer } from './bearer.js'
import { AskPipe } from './body.js'
import { type Viewer, AuditAccess } from './audit-access.js'

interface AuditMintsReply {
  mints: MintRow[]
  next_cursor: string | null
  ledger: { size_seen: number }
}

const DEFAULT_LIMIT = 100

@Controller('v1/audit')
export class AuditController {
  constructor(
    private readonly audit: AuditQuery,
    private readonly access: AuditAccess,
  ) {}

  @Get('mints')
  @Header('Cache-Control', 'no-store')
  async mints(@Bearer() bearer: string, @Query(AskPipe) query: AuditMintsQuery): Promise<AuditMintsReply> {
    const filter = visible(await this.access.resolve(bearer), filterOf(query))
    const page = { limit: Number(query.limit ?? DEFAULT_LIMIT), cursor: query.cursor }
    const { mints, nextCursor, sizeSeen } = this.audit.mints(filter, page)
    return { mints, next_cursor: nextCursor, ledger: { size_seen: sizeSeen } }
  }
}

/** The filter, narrowed to what the viewer may see. */
function visible(viewer: Viewer, filter: MintFilter): MintFilter {
  if (viewer.role === 'auditor') return filter
  if (filter.wallet !== undefined && filter.wallet !== viewer.wallet) {
    throw new BrokerError('other-wallet', 'a session sees only the mints of its own wallet')
  }
  return { ...filter, wallet: viewer.wallet }
}

function filterOf({ wallet, kind, outcome, jti, access_key_id, ...times }: AuditMintsQuery): MintFilter {
  const since = timeOf('since', times.since)
  const until = timeOf('until', times.until)
  if (since && until && since > until) throw new BrokerError('invalid-field', 'since must not be after until')
  return {
    wallet: wallet?.toLowerCase(),
    kind,
    outcome,
    mintId: jti,
    accessKeyId: access_key_id,
    since,
    until,
  }
}

function timeOf(name: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined
  const time = new Date(text)
  // Date takes 30 February for 2 March.
  if (Number.isNaN(time.getTime()) || time.toISOString().slice(0, 19) !== text.slice(0, 19)) {
    throw new BrokerError('invalid-field', `${name} names no moment there is`)
  }
  return time
}
