// Open, listen, and end in order.

import type { Logger } from 'pino'

import { AppModule } from '../app.module.js'
import { type Broker, openBroker } from './broker.js'
import type { Config } from '../config.js'
import { ApprovalWaits } from '../http/approval-waits.js'
import { createServer } from '../http/server.js'
import { listenForSessions } from './listen-for-sessions.js'
import { refuseAddress, runService } from './service.js'
import { EmbeddedSessions } from '../session/embedded-sessions.js'
import { VERSION } from '../version.js'

// Node 20 is supported here; the SDK's advice to leave it is no line of this broker's log.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true'

/** Resolves when the broker has stopped, or has refused to start; its log says which, and so does the exit code. */
export function run(config: Config): Promise<void> {
  return runService('broker', config, async (log) => {
    const broker = await openBroker(config, log)
    const stopServing = await serveOrClose(config, broker, log)
    return {
      address: `${config.bind}:${config.port}`,
      ...(broker.parts.reloadPolicy ? { reload: broker.parts.reloadPolicy } : {}),
      close: () => stopServing().then(() => broker.close()),
    }
  })
}

async function serveOrClose(config: Config, broker: Broker, log: Logger): Promise<() => Promise<void>> {
  try {
    await checkSts(config, broker, log)
    return await serve(config, broker, log)
  } catch (error) {
    await broker.close()
    throw error
  }
}

/** Web identity takes no credentials of this machine, so none can be at fault. */
const STS_REMEDY = {
  'web-identity':
    'BROKER_AWS_REGION, and that this machine reaches STS there (proxy, firewall, AWS_ENDPOINT_URL_STS)',
  'assume-role': 'AWS_PROFILE, the instance profile or the static keys, and the region',
} as const

async function checkSts(config: Config, broker: Broker, log: Logger): Promise<void> {
  if (config.skipStartupCheck || config.aws.kind === 'off') return
  try {
    await broker.parts.sts.checkIdentity()
    log.info('startup STS check passed')
  } catch (error) {
    log.error('startup STS check failed — refusing to bind')
    const message = `${(error as Error).message}; check ${STS_REMEDY[config.aws.kind]}, or start with --skip-startup-check`
    throw new Error(message, { cause: error })
  }
}

/** Listens on the broker's address and, for the embedded session backend, on its own. Returns how to stop both. */
async function serve(config: Config, { parts }: Broker, log: Logger): Promise<() => Promise<void>> {
  const app = await createServer(AppModule.of(parts), log, VERSION)
  const listener =
    config.backend.kind === 'embedded' && parts.sessions instanceof EmbeddedSessions
      ? await listenForSessions(parts.sessions, config.backend.bind, config.clients, log)
      : undefined
  if (listener) log.info({ url: listener.url }, 'embedded session backend listening')
  await app.listen(config.port, config.bind).catch(refuseAddress('--bind and --port'))
  return async () => {
    app.get(ApprovalWaits).close()
    await Promise.all([app.close(), listener?.close()])
  }
}
