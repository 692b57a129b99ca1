// Folders whose disk can be made full, and have space again, while a broker runs on them.

import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * fill    leaves no space for the broker of this process id, or for the next one that is started
 * free    gives it back
 * under   what a broker is started under while the disk is full
 */
export interface LimitedFolder {
  path: string
  under: () => string[]
  fill(pid?: number): void
  free(pid?: number): void
  remove(): void
}

export interface Disk {
  name: string
  folder(): LimitedFolder
}

/** A file system of a few megabytes. Needs the right to mount. */
const tmpfs: Disk = {
  name: 'a file system without space',
  folder() {
    const path = mkdtempSync(join(tmpdir(), 'agentkeys-disk-'))
    run('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', path])
    const filler = join(path, 'filler')
    return {
      path,
      under: () => [],
      fill: () => writeUntilFull(filler),
      free: () => rmSync(filler),
      remove: () => {
        run('umount', ['-l', path])
        rmSync(path, { recursive: true })
      },
    }
  },
}

/** The process may not write behind the first byte of any file, as if a quota were used up. Needs no rights. */
const fileSizeLimit: Disk = {
  name: 'a limit on what may be written',
  folder() {
    const path = mkdtempSync(join(tmpdir(), 'agentkeys-disk-'))
    let full = false
    const limit = (pid: number | undefined, bytes: string) => {
      if (pid !== undefined) run('prlimit', ['--pid', String(pid), `--fsize=${bytes}:unlimited`])
    }
    return {
      path,
      under: () => (full ? ['prlimit', '--fsize=1'] : []),
      fill: (pid) => {
        full = true
        limit(pid, '1')
      },
      free: (pid) => {
        full = false
        limit(pid, 'unlimited')
      },
      remove: () => rmSync(path, { recursive: true }),
    }
  },
}

/** Undefined where this user may not mount: a container often may not. */
export const mountedDisk: Disk | undefined = mayMount() ? tmpfs : undefined

/** What works here: the limit works everywhere. */
export const DISKS: readonly Disk[] = [fileSizeLimit, ...(mountedDisk ? [mountedDisk] : [])]

function mayMount(): boolean {
  const path = mkdtempSync(join(tmpdir(), 'agentkeys-disk-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', path]).status === 0
  if (mounted) run('umount', [path])
  rmSync(path, { recursive: true })
  return mounted
}

function writeUntilFull(path: string): void {
  const file = openSync(path, 'a')
  try {
    for (let size = 65_536; size >= 1;) size = appended(file, size) ? size : Math.floor(size / 2)
  } finally {
    closeSync(file)
  }
}

function appended(file: number, size: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(size)) === size
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    return false
  }
}

function run(command: string, args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`)
}
