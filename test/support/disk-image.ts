// A disk that fails syncs on order, and loses what was not synced when the power is cut: disk-image.c, preloaded.

import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const SOURCE = fileURLToPath(new URL('../../../test/support/disk-image.c', import.meta.url))

export class DiskImage {
  /** The broker's folder. Its files are on this disk; folders in it are not. */
  readonly path: string
  private readonly home = realpathSync(mkdtempSync(join(tmpdir(), 'agentkeys-disk-')))
  private readonly order = join(this.home, 'failing')

  constructor() {
    this.path = join(this.home, 'data')
    mkdirSync(this.path, { mode: 0o700 })
    mkdirSync(join(this.home, 'image'))
    const args = ['-shared', '-fPIC', '-O1', '-o', this.library, SOURCE, '-ldl']
    const { status, stderr, error } = spawnSync('cc', [...args, '-lpthread'], { encoding: 'utf8' })
    if (status !== 0) throw new Error(`this test needs a C compiler: ${error?.message ?? stderr}`)
  }

  /** For every broker that is started on the folder. */
  get env(): Record<string, string> {
    return {
      LD_PRELOAD: this.library,
      DISK_FOLDER: this.path,
      DISK_IMAGE: join(this.home, 'image'),
      DISK_FAILS: this.order,
    }
  }

  /** From now on every sync of a file whose name contains `name` fails, and its pages are marked clean. "./": the folder. */
  failSyncs(name: string): void {
    writeFileSync(this.order, name)
  }

  heal(): void {
    rmSync(this.order, { force: true })
  }

  /** The folder's files are as the disk has them. No process may have them open. */
  cutPower(): void {
    for (const file of readdirSync(this.path, { withFileTypes: true }))
      if (file.isFile()) rmSync(join(this.path, file.name))
    cpSync(join(this.home, 'image'), this.path, { recursive: true })
  }

  /** Whether the library was really there: a disk that kept nothing proves nothing. */
  has(name: string): boolean {
    return existsSync(join(this.home, 'image', name))
  }

  remove(): void {
    rmSync(this.home, { recursive: true, force: true })
  }

  private get library(): string {
    return join(this.home, 'disk-image.so')
  }
}
