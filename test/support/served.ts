// A few controllers on a real socket, with the broker's own error filter in front.

import { type AddressInfo } from 'node:net'

import { Module, type Provider, type Type } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify'

import { RefusalCounter } from '../../src/commands/refusal-counter.js'
import { ErrorFilter } from '../../src/http/error.filter.js'
import { NestLog, openLog } from '../../src/logging.js'

export interface Served {
  url: string
  close(): Promise<void>
}

export async function served(controllers: Type[], providers: Provider[]): Promise<Served> {
  class ServedModule {}
  Module({ controllers, providers })(ServedModule)
  const log = openLog('silent')
  const app = await NestFactory.create<NestFastifyApplication>(ServedModule, new FastifyAdapter(), {
    abortOnError: false,
    bodyParser: false,
    logger: new NestLog(log),
  })
  app.useGlobalFilters(new ErrorFilter(log, new RefusalCounter(() => new Date())))
  await app.listen(0, '127.0.0.1')
  const { port } = app.getHttpServer().address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, close: () => app.close() }
}
