// The mail router in a process of its own, with an AWS role of its own: the only one that may read `inbound/`.

import { setTimeout as pause } from 'node:timers/promises'

import type { Logger } from 'pino'

import type { MailRouterConfig } from '../config/mail-router.js'
import { INBOUND } from '../domain/mail/mail-keys.js'
import { HttpInboxOwners } from '../mail/http-inbox-owners.js'
import { MailRouter } from '../mail/mail-router.js'
import { S3MailStore } from '../mail/s3-mail-store.js'
import { readPrivateFile } from '../storage/private-file.js'
import { runService, type Service } from './service.js'

// Node 20 is supported here; the SDK's advice to leave it would be a line of the log that is none.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true'

/** Between passes while the bucket cannot be listed. */
const LONGEST_PAUSE_SECONDS = 60

export function runMailRouter(config: MailRouterConfig): Promise<void> {
  return runService('mail router', config, (log) => Promise.resolve(open(config, log)))
}

function open(config: MailRouterConfig, log: Logger): Service {
  const store = new S3MailStore(config)
  const owners = new HttpInboxOwners(config.backendUrl, tokenIn(config.tokenFile))
  const router = new MailRouter({ store, owners, log, now: () => Date.now() })
  const stop = new AbortController()
  const stopped = keepPassing(router, config.pollSeconds, stop.signal, log)
  const close = async () => {
    stop.abort()
    await stopped
    store.close()
  }
  return { address: `s3://${config.bucket}/${INBOUND}`, close }
}

function tokenIn(tokenFile: string): string {
  const token = readPrivateFile(tokenFile)?.trim()
  if (token) return token
  const remedy =
    'start the session backend with the same BROKER_MAIL_ROUTER_TOKEN_FILE, which makes it, or copy it here'
  throw new Error(`there is no token of the mail router at ${tokenFile}: ${remedy}`)
}

/** Resolves when the pass under way has ended. */
async function keepPassing(
  router: MailRouter,
  seconds: number,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  let wait = seconds
  while (!signal.aborted) {
    try {
      await router.pass(signal)
      wait = seconds
    } catch (error) {
      wait = Math.min(wait * 2, Math.max(seconds, LONGEST_PAUSE_SECONDS))
      log.warn({ reason: (error as Error).message, retryInMs: wait * 1000 }, 'inbound cannot be listed')
    }
    await pause(wait * 1000, undefined, { signal }).catch(() => undefined)
  }
}
