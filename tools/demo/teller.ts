// Prints the story: numbered steps, what is shown, why it matters. Plain text without a terminal.

import type { Writable } from 'node:stream'

const WIDTH = 106

/** A step of the story did not hold: which one, and why. */
export class StepFailed extends Error {
  constructor(
    readonly step: number,
    title: string,
    cause: unknown,
  ) {
    super(`step ${step} (${title}): ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    this.name = 'StepFailed'
  }
}

export class Teller {
  private steps = 0

  constructor(
    private readonly out: Writable,
    private readonly colour: boolean,
  ) {}

  /** Says what comes and why it matters, then does it. Rejects with StepFailed. */
  async step<T>(title: string, why: string, act: () => Promise<T>): Promise<T> {
    const step = (this.steps += 1)
    this.line()
    this.line(`${this.paint(`${step}.`, 'dim')} ${this.paint(title, 'bold')}`)
    for (const line of wrapped(why)) this.line(this.paint(`   ${line}`, 'dim'))
    try {
      return await act()
    } catch (error) {
      this.line(`   ${this.paint('✗ this step did not hold', 'red')}`)
      throw new StepFailed(step, title, error)
    }
  }

  /** Something that was checked and is so. */
  holds(text: string): void {
    this.line(`   ${this.paint('✓', 'green')} ${text}`)
  }

  fact(name: string, value: string): void {
    this.line(`     ${this.paint(name.padEnd(11), 'dim')} ${value}`)
  }

  line(text = ''): void {
    this.out.write(`${text}\n`)
  }

  private paint(text: string, style: keyof typeof STYLES): string {
    const [on, off] = STYLES[style]
    return this.colour ? `\u001b[${on}m${text}\u001b[${off}m` : text
  }
}

const STYLES = { bold: [1, 22], dim: [2, 22], green: [32, 39], red: [31, 39] } as const

/** Enough of a secret to recognise it by, and nothing to use. */
export function prefix(secret: string, length = 12): string {
  return `${secret.slice(0, length)}… (${secret.length} characters)`
}

function wrapped(text: string): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > WIDTH) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return [...lines, line]
}
