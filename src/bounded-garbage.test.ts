import { spawnSync } from 'node:child_process'

import { expect, test } from '@jest/globals'

const MODULE = new URL('./bounded-garbage.js', import.meta.url).href

/** 20 MB live for good, and far more than that is kept long enough to reach the old generation before it is garbage. */
const PROGRAM = `
  import { getHeapStatistics } from 'node:v8'
  const live = Array.from({ length: 200_000 }, (_, i) => ({ text: 'x' + i }))
  const recent = []
  let peak = 0
  for (let i = 0; i < 4_000_000; i += 1) {
    recent[i % 150_000] = { text: 'x' + i, live }
    if (i % 10_000 === 0) peak = Math.max(peak, getHeapStatistics().total_heap_size)
  }
  console.log(peak)
`

function peakOf(program: string, flags: string[] = []): number {
  const args = [...flags, '--input-type=module', '-e', program]
  const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', env: {} })
  return Number(stdout)
}

test('garbage is bounded without a flag on the command line', () => {
  const unbounded = peakOf(PROGRAM)
  const bounded = peakOf(`import ${JSON.stringify(MODULE)}\n${PROGRAM}`)
  expect(bounded).toBeGreaterThan(0)
  expect(bounded).toBeLessThan(0.8 * unbounded)
})

test('a limit from the command line stays alone', () => {
  const program = `
    import v8 from 'node:v8'
    v8.setFlagsFromString = () => { throw new Error('set') }
    const { syncBuiltinESMExports } = await import('node:module')
    syncBuiltinESMExports()
    await import(${JSON.stringify(MODULE)})
    console.log(1)
  `
  expect(peakOf(program, ['--max-old-space-size=192'])).toBe(1)
  expect(peakOf(program)).toBe(0)
})
