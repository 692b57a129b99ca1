import { Controller, Get, Header, Res } from '@nestjs/common'
import type { FastifyReply } from 'fastify'

import { Readiness } from './readiness.js'

@Controller()
export class HealthController {
  constructor(private readonly readiness: Readiness) {}

  @Get('healthz')
  @Header('Content-Type', 'text/plain; charset=utf-8')
  healthz(): string {
    return 'ok'
  }

  @Get('readyz')
  async readyz(@Res() reply: FastifyReply): Promise<void> {
    const { ready, ...parts } = await this.readiness.check()
    const status = ready ? 'ready' : 'not_ready'
    await reply
      .status(ready ? 200 : 503)
      .header('Cache-Control', 'no-store')
      .send({ status, ...parts })
  }
}
