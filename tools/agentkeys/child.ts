// A child in the foreground: it has our terminal, and signals and exit code pass through.

import { spawn } from 'node:child_process'
import { constants } from 'node:os'

import { CliError } from './report-error.js'

/** Sent to us alone, they are passed on. Ctrl-C and Ctrl-Z reach the child from the terminal itself. */
const PASSED_ON = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGQUIT', 'SIGWINCH', 'SIGCONT'] as const

/** The child's exit code, or 128 and the signal's number. Rejects with CliError where it cannot be started. */
export function spawnChild(line: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const [command = '', ...args] = line
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: 'inherit' })
    const pass = (signal: NodeJS.Signals) => child.kill(signal)
    // The child decides what an interrupt means; we end when it ends.
    const stay = () => undefined
    for (const signal of PASSED_ON) process.on(signal, pass)
    process.on('SIGINT', stay)
    const done = () => {
      for (const signal of PASSED_ON) process.off(signal, pass)
      process.off('SIGINT', stay)
    }
    child.once('error', (error: NodeJS.ErrnoException) => {
      done()
      reject(
        new CliError(`${command} cannot be started (${error.code})`, 'check its name and PATH', 3, {
          cause: error,
        }),
      )
    })
    child.once('exit', (code, signal) => {
      done()
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]))
    })
  })
}
