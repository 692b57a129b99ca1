// verify-ledger export SOURCE: the entries as they are stored, so that what is wrong with them stays visible.

import { once } from 'node:events'
import { open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

import type { Row } from '../../src/domain/ledger/verify.js'

import { parseArguments } from './arguments.js'
import { Progress } from './progress.js'
import { targetOf } from './regular-file.js'
import { warnOfProxies } from './proxies.js'
import { openSource, parseSource } from './sources/open.js'
import { type Source, SourceError, SourceFault } from './sources/source.js'

/** Where the lines go. Resolves when it may be called again. */
type Write = (lines: string) => Promise<void>

export async function exportCommand(args: readonly string[]): Promise<number> {
  const options = {
    out: { type: 'string' },
    'token-file': { type: 'string' },
    stream: { type: 'string' },
  } as const
  const { values, source: name } = parseArguments(args, options)
  const access = { tokenFile: values['token-file'], stream: values.stream }
  const named = await parseSource(name)
  warnOfProxies(named)
  const source = await openSource(named, access)
  try {
    // Opening it again fails where it is a socket, and would truncate it where it is a file.
    if (values.out === undefined || values.out === '/dev/stdout') await exportTo(toStdout, source)
    else await writeWhole(values.out, (write) => exportTo(write, source))
    return 0
  } catch (error) {
    if (!(error instanceof NoLine || error instanceof SourceFault)) throw error
    process.stderr.write(`verify-ledger: ${error.message}\n`)
    return 1
  } finally {
    await source.close()
  }
}

/** The row cannot be written as a line; what is missing in an export must not go unnoticed. */
class NoLine extends Error {}

async function exportTo(write: Write, source: Source): Promise<void> {
  const progress = new Progress('exporting')
  let entries = 0
  try {
    for await (const { from, rows } of source.batches()) {
      await write(rows.map((row, i) => line(row, from + i)).join(''))
      entries += rows.length
      progress.show(source.progress(), entries)
    }
  } finally {
    progress.end()
  }
}

function line(row: Row, place: number): string {
  if (typeof row !== 'string') throw new NoLine(`entry ${place} cannot be exported: ${row.detail}`)
  if (row.includes('\n')) throw new NoLine(`entry ${place} cannot be exported: it holds a line feed`)
  return `${row}\n`
}

async function toStdout(lines: string): Promise<void> {
  if (!process.stdout.write(lines)) await once(process.stdout, 'drain')
}

/** A file is there whole or not at all: a neighbour is written and synced, then renamed over it. */
async function writeWhole(out: string, fill: (write: Write) => Promise<void>): Promise<void> {
  const { kind, path } = targetOf(out)
  // A pipe or a device is written to; renaming a file over it would take it away.
  if (kind === 'other') return writeThrough(path, fill)
  const neighbour = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`)
  try {
    const file = await open(neighbour, 'wx', 0o600)
    try {
      await fill(async (lines) => {
        await file.appendFile(lines)
      })
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(neighbour, path)
    await syncFolder(dirname(path))
  } catch (cause) {
    await rm(neighbour, { force: true })
    if (cause instanceof NoLine || cause instanceof SourceError || cause instanceof SourceFault) throw cause
    throw new SourceError(`${path} cannot be written: ${(cause as Error).message}`, { cause })
  }
}

async function writeThrough(path: string, fill: (write: Write) => Promise<void>): Promise<void> {
  const file = await open(path, 'w')
  try {
    await fill(async (lines) => {
      await file.appendFile(lines)
    })
  } finally {
    await file.close()
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
