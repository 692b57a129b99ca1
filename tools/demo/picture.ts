// The demo's most telling steps as a picture of a terminal: what README shows is what the demo printed.

import { Writable } from 'node:stream'

/** Steps of the story that the picture has: a token, a refusal, the ledger, its verification, a forgery. */
const PICTURED = new Set([3, 8, 9, 10, 11])
const COLUMNS = 118
const CHARACTER_WIDTH = 7.25
const LINE_HEIGHT = 17
const MARGIN = 16

/** Keeps what is written to it, and passes it on. */
export class Recording extends Writable {
  private text = ''

  constructor(private readonly out: Writable) {
    super()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.text += chunk.toString()
    this.out.write(chunk, done)
  }

  get lines(): string[] {
    return this.text.split('\n')
  }
}

/** `lines`: the demo's output without colours. An SVG of a fixed-width font, without scripts or outside references. */
export function terminalPicture(lines: readonly string[]): string {
  const shown = pictured(lines).map((line) =>
    line.length > COLUMNS ? `${line.slice(0, COLUMNS - 1)}…` : line,
  )
  const width = Math.ceil(COLUMNS * CHARACTER_WIDTH + 2 * MARGIN)
  const height = shown.length * LINE_HEIGHT + 2 * MARGIN
  const texts = shown.map((line, i) => {
    const y = MARGIN + (i + 0.75) * LINE_HEIGHT
    return `<text x="${MARGIN}" y="${y}" class="${styleOf(line)}">${escaped(line)}</text>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    '<title>npm run demo: a token, a refusal, the ledger, its verification, a forgery that is caught</title>',
    `<style>text{font:12px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre;fill:#d0d7de}`,
    '.title{font-weight:bold;fill:#fff}.holds{fill:#56d364}.why{fill:#8b949e}</style>',
    `<rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>`,
    ...texts,
    '</svg>',
    '',
  ].join('\n')
}

/** Each step is a numbered line and what follows it until an empty one. */
function pictured(lines: readonly string[]): string[] {
  const shown: string[] = []
  let inside = false
  for (const line of lines) {
    const step = /^(\d+)\. /.exec(line)?.[1]
    if (step !== undefined) inside = PICTURED.has(Number(step))
    if (inside) shown.push(line)
  }
  return shown.slice(0, shown.findLastIndex((line) => line !== '') + 1)
}

function styleOf(line: string): 'title' | 'holds' | 'why' | 'fact' {
  if (/^\d+\. /.test(line)) return 'title'
  if (line.startsWith('   ✓')) return 'holds'
  return /^ {3}\S/.test(line) ? 'why' : 'fact'
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
