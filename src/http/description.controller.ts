// What a client has to know of this broker, from its URL alone.

import { Controller, Get, Header } from '@nestjs/common'

import { Config } from '../config.js'
import { sessionUrlOf } from '../config/clients.js'
import { Ledger } from '../ledger/ledger.js'

/** Public, and the same for every caller. What a member stands for and is not configured is left out. */
@Controller('.well-known')
export class DescriptionController {
  private readonly description: Record<string, unknown>

  constructor(config: Config, { origin, vkey }: Ledger) {
    const { issuer, policy, aws, clients } = config
    const roles = [policy.dataRoleArn, ...policy.allowedRoleArns].filter((role) => role !== undefined)
    this.description = {
      issuer,
      session_backend: sessionUrlOf(config),
      region: aws.kind === 'off' ? undefined : aws.region,
      roles: [...new Set(roles)],
      bucket: clients.bucket,
      mail_domain: clients.mailDomain,
      ledger: { origin, vkey },
    }
  }

  @Get('agentkeys')
  @Header('Cache-Control', 'public, max-age=300')
  agentkeys(): Record<string, unknown> {
    return this.description
  }
}
