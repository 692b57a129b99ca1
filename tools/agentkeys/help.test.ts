import { readFileSync } from 'node:fs'

import { describe, expect, test } from '@jest/globals'

import { GLOBAL } from './command-line.js'
import { COMMANDS } from './command-table.js'
import { commandHelp, commandsPage, overview } from './help.js'
import { completionScript } from './commands/completion.js'

test('docs/commands.md is the table of commands: npm run describe writes it', () => {
  expect(readFileSync('docs/commands.md', 'utf8')).toBe(commandsPage(COMMANDS, GLOBAL))
})

test('each command and each of its options is in help and in every completion', () => {
  const completions = ['bash', 'zsh', 'fish'].map((shell) => completionScript(shell, COMMANDS))
  for (const command of COMMANDS) {
    const help = commandHelp(command, GLOBAL)
    expect(overview(COMMANDS, GLOBAL)).toContain(`\n  ${command.name}`)
    for (const option of Object.keys({ ...command.options, ...GLOBAL })) {
      expect(help).toMatch(new RegExp(`\n  --${option}(?: |\n)`))
      for (const script of completions) expect(script).toMatch(new RegExp(`(?:--|-l )${option}\\b`))
    }
  }
})

describe.each([40, 60, 80, 120])('in a terminal of %d columns', (columns) => {
  const texts = [
    overview(COMMANDS, GLOBAL, columns),
    ...COMMANDS.map((one) => commandHelp(one, GLOBAL, columns)),
  ]

  test('no line is wider, but for what cannot be broken', () => {
    const wide = texts.flatMap((text) => text.split('\n')).filter((line) => line.length > columns)
    const forms = new Set(COMMANDS.map(({ name, usage }) => `${name} ${usage}`.trim()))
    expect(wide.filter((line) => !line.startsWith('usage: ') && !forms.has(line.trim()))).toEqual([])
  })

  test('nothing is left out', () => {
    const words = (text: string) => text.split(/\s+/).join(' ')
    expect(texts.map(words)).toEqual(
      [overview(COMMANDS, GLOBAL), ...COMMANDS.map((one) => commandHelp(one, GLOBAL))].map(words),
    )
  })
})
