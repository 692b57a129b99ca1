// A process whose system clock is set at will, by Debian's faketime. The monotonic clock stays as it is.

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'

/** Variables for a process that reads its clock's offset from `file`, at every reading. */
export function fakeTime(file: string): Record<string, string> {
  setOffset(file, '+0')
  return {
    LD_PRELOAD: library(),
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  }
}

/** `offset`: such as +20y, -1d, +0. */
export function setOffset(file: string, offset: string): void {
  writeFileSync(file, `${offset}\n`)
}

function library(): string {
  try {
    // The program knows where its library is.
    return execFileSync('faketime', ['-f', '+0', 'printenv', 'LD_PRELOAD'], { encoding: 'utf8' }).trim()
  } catch (error) {
    throw new Error('these tests need faketime: apt-get install faketime', { cause: error })
  }
}
