import { expect, test } from '@jest/globals'

import { Progress } from './progress.js'

function drawn(isTTY: boolean, shows: readonly [atMs: number, share: number, entries: number][]): string[] {
  const lines: string[] = []
  let now = 0
  const write = (text: string): boolean => lines.push(text) > 0
  const progress = new Progress('verifying', { isTTY, write }, () => now)
  for (const [atMs, share, entries] of shows) {
    now = atMs
    progress.show(share, entries)
  }
  progress.end()
  return lines
}

test('after a second, a bar with share, rate and time left is drawn on one line, which is cleared at the end', () => {
  const lines = drawn(true, [
    [500, 0.1, 10_000],
    [2_000, 0.5, 50_000],
    [2_050, 0.6, 60_000],
  ])
  const bar = `${'█'.repeat(20)}${'░'.repeat(20)}`
  expect(lines).toEqual([`\r\x1b[Kverifying ${bar} 50%  50,000 entries, 25,000/s, 2 s left`, '\r\x1b[K'])
})

test('nothing is drawn where standard error is no terminal, or before a second', () => {
  expect(drawn(false, [[2_000, 0.5, 1]])).toEqual([])
  expect(drawn(true, [[999, 0.5, 1]])).toEqual([])
})
