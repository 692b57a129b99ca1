// Runs a scraper to its end: events on stdout, at most 120 s, and its stderr kept for the failure's log.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { homeDir } from '../home.js'

import { type Explanation, ProvisionError, type ProvisionErrorCode } from './provision-error.js'
import { parseScraperEvent, type ScraperEvent, type Tripwire } from './scraper-events.js'

export interface ScraperRun {
  service: string
  command: readonly string[]
  env: NodeJS.ProcessEnv
  onProgress: (step: string) => void
  timeoutMs?: number
}

const TIMEOUT_MS = 120_000
const STDERR_LINES = 20

/** The key. Rejects with ProvisionError. */
export async function runScraper(run: ScraperRun): Promise<string> {
  const { command, env, service, timeoutMs = TIMEOUT_MS } = run
  const [program = '', ...args] = command
  // A group of its own, so that the browser it started ends with it.
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const stderr = lastLines(child)
  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    endGroup(child)
  }, timeoutMs)
  try {
    const { key, failure } = await outcomeOf(child, run)
    if (timedOut)
      throw failed('PROVISION_ERROR', `no result within ${timeoutMs / 1000} s`, logOf(service, stderr()))
    if (failure) throw failure
    if (key === undefined) throw failed('PROVISION_ERROR', 'it ended without a key', logOf(service, stderr()))
    return key
  } finally {
    clearTimeout(timer)
    endGroup(child)
  }
}

interface ScraperOutcome {
  key: string | undefined
  failure: ProvisionError | undefined
}

async function outcomeOf(child: ChildProcess, { service, onProgress }: ScraperRun): Promise<ScraperOutcome> {
  const outcome: ScraperOutcome = { key: undefined, failure: undefined }
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', ({ code }: NodeJS.ErrnoException) =>
      reject(
        failed(
          'PROVISION_ERROR',
          `the scraper of ${service} cannot be started (${code})`,
          'check scrapers.json',
        ),
      ),
    )
    child.once('close', () => resolve())
  })
  if (child.stdout)
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.trim() === '') return
      const event = parseScraperEvent(line)
      if (event) take(event, outcome, onProgress)
      else {
        outcome.failure ??= failed(
          'PROVISION_ERROR',
          'it printed a line that is no event',
          'the scraper must print events only',
        )
        endGroup(child)
      }
    })
  await ended
  return outcome
}

function take(event: ScraperEvent, outcome: ScraperOutcome, onProgress: (step: string) => void): void {
  switch (event.type) {
    case 'progress':
      return onProgress(event.step)
    case 'tripwire':
      outcome.failure ??= tripped(event.kind, event.step)
      return
    case 'success':
      outcome.key = event.apiKey
      return
    case 'error':
      outcome.failure ??= failed('PROVISION_ERROR', `${event.code}: ${event.details}`, 'see the scraper')
  }
}

const TRIPPED = {
  selector_timeout: ['TRIPWIRE_SELECTOR_TIMEOUT', 'an element of the page did not appear'],
  unexpected_nav: ['TRIPWIRE_UNEXPECTED_NAV', 'the site led to another page'],
  http5xx: ['TRIPWIRE_HTTP_5XX', 'the site answered with a server error'],
  email_timeout: ['EMAIL_TIMEOUT', 'no mail arrived in time'],
  verification_failed: ['VERIFICATION_FAILED', 'the key that was made does not work'],
} as const satisfies Record<Tripwire, readonly [ProvisionErrorCode, string]>

function tripped(kind: Tripwire, step: string): ProvisionError {
  const [code, cause] = TRIPPED[kind]
  return new ProvisionError(code, {
    problem: `provisioning stopped at "${step}"`,
    cause,
    fix: 'try again later; if it stays so, the site has changed and the scraper has to follow',
  })
}

function failed(code: ProvisionErrorCode, cause: string, fix: string): ProvisionError {
  const explanation: Explanation = { problem: 'provisioning failed', cause, fix }
  return new ProvisionError(code, explanation)
}

function lastLines(child: ChildProcess): () => string[] {
  const lines: string[] = []
  if (child.stderr)
    createInterface({ input: child.stderr }).on('line', (line) => {
      lines.push(line.slice(0, 500))
      if (lines.length > STDERR_LINES) lines.shift()
    })
  return () => lines
}

function logOf(service: string, lines: readonly string[]): string {
  const folder = join(homeDir(), 'logs')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, `provision-${service}-${Math.floor(Date.now() / 1000)}.log`)
  writeFileSync(path, `${lines.join('\n')}\n`, { mode: 0o600 })
  return `see ${path}: the last lines it wrote to stderr`
}

function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
