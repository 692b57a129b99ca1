// `op read`, the 1Password CLI. No shell; standard input closed, so that it cannot ask; bounded in time and output. What it
// writes to standard error is looked at and never repeated.

import { type ChildProcess, spawn } from 'node:child_process'

import { SecretError } from './secret-error.js'

const WITHIN_MS = 10_000
export const MAX_SECRET_BYTES = 64 * 1024
/** What op needs of the environment: none of the broker's own secrets are in it. */
const PASSED = /^(?:PATH|HOME|USER|LANG|XDG_[A-Z_]+|OP_[A-Z0-9_]+|TMPDIR)$/

interface Ended {
  code: number | null
  out: Buffer
  err: string
}

/** The output. Rejects with SecretError. */
export async function opRead(reference: string, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const { code, out, err } = await run(reference, env)
  if (code !== 0) throw refusal(code, err)
  return out.toString()
}

function run(reference: string, env: NodeJS.ProcessEnv): Promise<Ended> {
  const passed = Object.fromEntries(Object.entries(env).filter(([name]) => PASSED.test(name)))
  // A group of its own: what op has started ends with it.
  const child = spawn('op', ['read', '--no-newline', reference], {
    ...{ stdio: ['ignore', 'pipe', 'pipe'], env: passed, detached: true },
  })
  return new Promise((resolve, reject) => {
    const end = (error: Error) => {
      kill(child)
      reject(error)
    }
    const timer = setTimeout(() => end(new SecretError('passing', LATE)), WITHIN_MS)
    const chunks: Buffer[] = []
    let [bytes, err] = [0, '']
    child.stdout?.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes > MAX_SECRET_BYTES) end(new SecretError('permanent', 'op printed more than 64 KiB'))
    })
    child.stderr?.on('data', (chunk: Buffer) => {
      if (err.length < 4096) err += chunk.toString()
    })
    child.once('error', ({ code }: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      reject(new SecretError('permanent', code === 'ENOENT' ? MISSING : `op cannot be run (${code})`))
    })
    child.once('close', (code) => {
      clearTimeout(timer)
      resolve({ code, out: Buffer.concat(chunks), err })
    })
  })
}

const LATE =
  'op did not answer within 10 s, and was ended: see that it needs no confirmation, and reaches 1Password'
const MISSING = 'op, the 1Password CLI, is not on PATH: install it, or give the secret in another way'

function kill(child: ChildProcess): void {
  child.stdout?.destroy()
  child.stderr?.destroy()
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

function refusal(code: number | null, err: string): SecretError {
  if (/\b429\b|too many requests|rate.?limit/i.test(err))
    return new SecretError(
      'passing',
      '1Password answered 429, too many requests: start again later, and less often',
    )
  if (/sign(?:ed)? ?in|locked|session (?:has )?expired|unauthorized|authoriz/i.test(err))
    return new SecretError(
      'permanent',
      'op is locked or not signed in: unlock it, or set OP_SERVICE_ACCOUNT_TOKEN',
    )
  if (/isn't an? (?:item|vault|field)|not found|no item|could not (?:find|get)/i.test(err))
    return new SecretError('permanent', 'op knows no such vault, item or field: correct the reference')
  return new SecretError('permanent', `op ended with ${code}: run "op read" with this reference by hand`)
}
