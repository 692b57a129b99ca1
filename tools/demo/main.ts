#!/usr/bin/env node
// The demo: what the broker is for, in a terminal, with nothing installed but this package.

import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

import { Recording, terminalPicture } from './picture.js'
import { Stage } from './stage.js'
import { tellStory } from './story.js'
import { StepFailed, Teller } from './teller.js'

// Node 20 is supported here; the SDK's advice to leave it is no part of the story.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true'

const USAGE = `Usage: npm run demo

Starts a local AWS STS, a witness and a broker on free ports and in a temporary folder, mints a token and AWS credentials,
verifies both as a stranger would, is refused a role, reads and verifies the ledger, and catches two forgeries of it.
Needs no account, no network and no configuration, and leaves nothing behind.

  --svg FILE  also draw its main steps, as README shows them
  --help      print this

Exit codes: 0 every step held, 1 one did not, 2 wrong usage.`

/** Long before anyone would think it hangs; it takes a few seconds. */
const ENDS_WITHIN_MS = 90_000

async function demo(svg: string | undefined): Promise<number> {
  const recording = svg === undefined ? undefined : new Recording(process.stdout)
  const tell = new Teller(recording ?? process.stdout, recording === undefined && hasColour())
  const stage = new Stage()
  // Also at a signal or a crash: a broker that outlived its demo would hold ports and a folder.
  process.on('exit', () => stage.clear())
  const end = (code: number) => void stage.close().finally(() => process.exit(code))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => end(130))
  const late = setTimeout(() => end(report(tell, stage, new Error('it took too long'))), ENDS_WITHIN_MS)
  const started = performance.now()
  try {
    tell.line('AgentKeys Broker: every credential is in the ledger before it exists.')
    await tellStory(tell, stage)
    tell.line()
    tell.line(
      `Every step held, in ${((performance.now() - started) / 1000).toFixed(1)} s. Nothing is left behind.`,
    )
    if (recording && svg !== undefined) writeFileSync(svg, terminalPicture(recording.lines))
    return 0
  } catch (error) {
    return report(tell, stage, error as Error)
  } finally {
    clearTimeout(late)
    await stage.close()
  }
}

function report(tell: Teller, stage: Stage, error: Error): number {
  tell.line()
  tell.line(`The demo failed at ${error.message}`)
  // What is no fault of a step is a fault of the demo's own, and its stack is needed to fix it.
  if (!(error instanceof StepFailed) && error.stack) tell.line(error.stack)
  if (stage.logTail !== '') tell.line(`\nThe end of the broker's log:\n${stage.logTail}`)
  return 1
}

function hasColour(): boolean {
  return process.stdout.isTTY && process.env['NO_COLOR'] === undefined && process.env['TERM'] !== 'dumb'
}

function flagsOf(args: string[]): { help: boolean; svg?: string | undefined } {
  const options = { help: { type: 'boolean', default: false }, svg: { type: 'string' } } as const
  return parseArgs({ args, options }).values
}

try {
  const { help, svg } = flagsOf(process.argv.slice(2))
  if (help) process.stdout.write(`${USAGE}\n`)
  else process.exitCode = await demo(svg)
} catch (error) {
  if (!(error instanceof TypeError)) throw error
  process.stderr.write(`demo: ${error.message}\nTry npm run demo -- --help\n`)
  process.exitCode = 2
}
