// Proxies of the environment are not used: a reader who needs one must hear why nothing answers.

import type { SourceName } from './sources/open.js'

export function warnOfProxies(source: SourceName): void {
  const warning = proxyWarning(source, process.env)
  if (warning !== undefined) process.stderr.write(`verify-ledger: ${warning}\n`)
}

/** A line for stderr; undefined where no proxy would be used. The value is not shown: it often holds a password. */
export function proxyWarning(source: SourceName, env: NodeJS.ProcessEnv): string | undefined {
  if (source.kind !== 'http') return undefined
  const { protocol, hostname } = new URL(source.url)
  const variables = [protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY', 'ALL_PROXY']
  const name = variables.flatMap((each) => [each, each.toLowerCase()]).find((each) => env[each])
  if (name === undefined || isExempt(hostname, env['NO_PROXY'] ?? env['no_proxy'] ?? '')) return undefined
  return `warning: ${name} is not used: the log is asked directly; let the network allow that, or copy the log and verify the copy`
}

/** As curl reads NO_PROXY: host names with all below them, or *. */
function isExempt(hostname: string, list: string): boolean {
  const exempt = list.split(',').map((each) => each.trim().toLowerCase().replace(/^\./, ''))
  return exempt.some(
    (each) => each === '*' || each === hostname || (each !== '' && hostname.endsWith(`.${each}`)),
  )
}
