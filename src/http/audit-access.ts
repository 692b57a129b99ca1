import { type SessionBackend } from '../session/session-backend.js'
import type { FileToken } from '../storage/token-file.js'

/** Who reads the records: the auditor all of them, a session those of its own wallet. */
export type Viewer = { role: 'auditor' } | { role: 'session'; wallet: string }

export class AuditAccess {
  constructor(
    private readonly sessions: SessionBackend,
    private readonly auditorToken: FileToken,
  ) {}

  /** The auditor's token is looked at first, so it is never shown to a session backend. Rejects with SessionError. */
  async resolve(bearer: string): Promise<Viewer> {
    if (this.auditorToken.matches(bearer)) return { role: 'auditor' }
    const { wallet } = await this.sessions.validate(bearer)
    return { role: 'session', wallet }
  }
}
