// What a scraper says on stdout: one JSON object a line, of a closed set. Anything else is a malformed event.

export const TRIPWIRES = [
  'selector_timeout',
  'unexpected_nav',
  'http5xx',
  'email_timeout',
  'verification_failed',
] as const
export type Tripwire = (typeof TRIPWIRES)[number]

const ERRORS = [
  'provision_in_progress',
  'tripwire_exhausted',
  'email_backend_down',
  'verification_endpoint_down',
  'store_failed',
  'malformed_event',
  'timeout',
  'internal',
] as const
export type ScraperErrorCode = (typeof ERRORS)[number]

export type ScraperEvent =
  | { type: 'progress'; step: string }
  | { type: 'tripwire'; kind: Tripwire; step: string; elapsedMs: number }
  | { type: 'success'; apiKey: string }
  | { type: 'error'; code: ScraperErrorCode; details: string }

/** Undefined for what is no event. The line is not quoted anywhere: it may hold the key. */
export function parseScraperEvent(line: string): ScraperEvent | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const {
    type,
    step,
    kind,
    elapsed_ms: elapsedMs,
    api_key: apiKey,
    code,
    details,
  } = value as Record<string, unknown>
  switch (type) {
    case 'progress':
      return typeof step === 'string' ? { type, step } : undefined
    case 'tripwire': {
      const known = TRIPWIRES.find((one) => one === kind)
      return known && typeof step === 'string' && typeof elapsedMs === 'number'
        ? { type, kind: known, step, elapsedMs }
        : undefined
    }
    case 'success':
      return typeof apiKey === 'string' && apiKey !== '' ? { type, apiKey } : undefined
    case 'error': {
      const known = ERRORS.find((one) => one === code)
      return known && typeof details === 'string' ? { type, code: known, details } : undefined
    }
    default:
      return undefined
  }
}
