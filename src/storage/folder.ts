import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/** The names of the files in it survive a power cut when this returns. */
export function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

/** Makes the folder, for its owner alone, with those above it that are missing. They survive a power cut. */
export function makeFolder(folder: string): void {
  const topmost = mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (topmost === undefined) return
  const above = dirname(resolve(topmost))
  for (let made = resolve(folder); made !== above; made = dirname(made)) syncFolder(dirname(made))
}
