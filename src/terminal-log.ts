// The log for people: one line each, instead of a JSON object, where standard error is a terminal.

import type { DestinationStream } from 'pino'

const COLOURS: Readonly<Record<string, number>> = { warn: 33, error: 31, fatal: 31 }
/** What could move the cursor or change colours: a log line may quote what a client sent. */
const CONTROL = /[\p{C}]/gu

export function terminalLog(out: DestinationStream, colour: boolean): DestinationStream {
  return { write: (line) => out.write(forPeople(line, colour)) }
}

function forPeople(line: string, colour: boolean): string {
  const { level, time, msg, ...members } = JSON.parse(line) as Record<string, unknown>
  const shown = Object.entries(members).map(([name, value]) => `${name}=${text(value)}`)
  const label = String(level).padEnd(5)
  const code = COLOURS[String(level)]
  const start = colour && code !== undefined ? `\x1b[${code}m${label}\x1b[0m` : label
  const clock = String(time).slice('2000-01-01T'.length, -'.000Z'.length)
  return `${clock} ${start} ${[text(msg ?? ''), ...shown].join('  ')}\n`
}

function text(value: unknown): string {
  return (typeof value === 'string' ? value : JSON.stringify(value)).replace(CONTROL, '\ufffd')
}
