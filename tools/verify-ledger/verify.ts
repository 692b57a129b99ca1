// verify-ledger SOURCE

import { parseSignedCheckpoint } from '../../src/domain/ledger/checkpoint.js'
import { type NoteKey, parseVkey } from '../../src/domain/ledger/note.js'
import { parsePolicy, type Policy } from '../../src/domain/ledger/policy.js'
import type { Expected } from '../../src/domain/ledger/verify.js'
import { FormatError } from '../../src/domain/ledger/encoding.js'

import { parseArguments } from './arguments.js'
import { refuseMangled } from './mangled.js'
import { Progress } from './progress.js'
import { jsonReport, textReport } from './report.js'
import { readBoundedSync } from './regular-file.js'
import { warnOfProxies } from './proxies.js'
import { openSource, parseSource } from './sources/open.js'
import { type Source, SourceError } from './sources/source.js'
import { UsageError } from './usage-error.js'
import { type Options, verify } from './verification.js'

const OPTIONS = {
  json: { type: 'boolean' },
  full: { type: 'boolean' },
  vkey: { type: 'string' },
  policy: { type: 'string' },
  checkpoint: { type: 'string' },
  state: { type: 'string' },
  'no-state': { type: 'boolean' },
  'token-file': { type: 'string' },
  stream: { type: 'string' },
  'expect-size': { type: 'string' },
  'expect-head': { type: 'string' },
} as const

export async function verifyCommand(args: readonly string[]): Promise<number> {
  const { values, source: name } = parseArguments(args, OPTIONS)
  const options = parseOptions(values)
  const access = { tokenFile: values['token-file'], stream: values.stream }
  const named = await parseSource(name)
  warnOfProxies(named)
  const source = await openSource(named, access)
  const progress = new Progress('verifying')
  const started = performance.now()
  try {
    checkMeant(options, source)
    const onProgress = (entries: number): void => progress.show(source.progress(), entries)
    const outcome = await verify(source, { ...options, onProgress })
    progress.end()
    const seconds = (performance.now() - started) / 1000
    const report = { source: source.description, outcome, seconds, expected: options.expected }
    process.stdout.write(values.json ? jsonReport(report) : textReport(report))
    return outcome.verdict.ok ? 0 : 1
  } finally {
    progress.end()
    await source.close()
  }
}

function parseOptions(values: ReturnType<typeof parseArguments<typeof OPTIONS>>['values']): Options {
  if (values['no-state'] && values.state !== undefined)
    throw new UsageError('--state FILE and --no-state exclude each other')
  const [vkey, policy] = parseTrust(values.vkey, values.policy)
  return {
    vkey,
    policy,
    checkpoint:
      values.checkpoint === undefined
        ? undefined
        : parsed('--checkpoint', values.checkpoint, parseSignedCheckpoint),
    expected: parseExpected(values['expect-size'], values['expect-head']),
    statePath: values['no-state'] ? 'none' : values.state,
    full: values.full,
  }
}

/** Of --vkey and --policy, for all commands that know them. */
export function parseTrust(
  vkey: string | undefined,
  policyFile: string | undefined,
): [NoteKey | undefined, Policy | undefined] {
  const key = vkey === undefined ? undefined : parseKey(vkey)
  const policy = policyFile === undefined ? undefined : parsed('--policy', policyFile, parsePolicy)
  return [key, policy]
}

function parseKey(text: string): NoteKey {
  try {
    const key = parseVkey(text)
    if (key.type === 'ed25519') return key
    throw new UsageError('--vkey must be the key of a log, and this is the key of a witness')
  } catch (error) {
    if (error instanceof FormatError) throw new UsageError(`--vkey: ${error.message}`)
    throw error
  }
}

/** More than any checkpoint, receipt, policy, entry or JWT. */
const MAX_OPTION_BYTES = 1024 * 1024

/** A file that the reader names. Throws SourceError when it is not there, UsageError when it is something else. */
export function parsed<T>(option: string, path: string, parse: (bytes: Uint8Array) => T): T {
  let bytes: Uint8Array
  try {
    bytes = readBoundedSync(path, MAX_OPTION_BYTES)
  } catch (cause) {
    if (cause instanceof SourceError) throw cause
    throw new SourceError(`${option} ${path} cannot be read: ${(cause as Error).message}`, { cause })
  }
  refuseMangled(bytes, `${option} ${path}`)
  try {
    return parse(new Uint8Array(bytes))
  } catch (error) {
    if (error instanceof FormatError) throw new UsageError(`${option} ${path}: ${error.message}`)
    throw error
  }
}

function checkMeant({ policy, checkpoint, statePath, full }: Options, source: Source): void {
  if (source.log) return
  if (policy && !checkpoint)
    throw new UsageError('--policy needs --checkpoint FILE here: this SOURCE has no checkpoint of its own')
  if (full || (statePath !== undefined && statePath !== 'none'))
    throw new UsageError(
      '--state and --full are for a SOURCE that has a checkpoint: others are always read whole',
    )
}

function parseExpected(size: string | undefined, head: string | undefined): Expected | undefined {
  if (head !== undefined && !/^[0-9a-f]{64}$/.test(head)) {
    throw new UsageError('--expect-head must be 64 lower-case hex digits')
  }
  if (size === undefined) {
    if (head !== undefined)
      throw new UsageError('--expect-head needs --expect-size: a head is the head of a size')
    return undefined
  }
  if (!/^[1-9]\d{0,14}$/.test(size))
    throw new UsageError('--expect-size must be a number of entries, 1 or more')
  return { size: Number(size), ...(head !== undefined && { head }) }
}
