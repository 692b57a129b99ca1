// A Debian of its own, made by debootstrap from the mirror that this machine's apt uses, and booted by systemd-nspawn: a
// real systemd with its own processes, network and files.

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { type Ran, run } from './installed-package.js'
import { until } from './until.js'

/** Beside the smallest system. debootstrap follows no virtual packages, so what certbot's cryptography needs is named. */
const PACKAGES = [
  ...['systemd', 'systemd-sysv', 'dbus', 'ca-certificates', 'curl', 'openssl', 'libstdc++6'],
  ...['nginx-light', 'certbot', 'python3-cffi-backend', 'pebble'],
]

/** A root made before, to be copied instead of made: for those who run the test often. */
const READY_MADE = process.env['AGENTKEYS_DEBIAN_ROOT']

/** Why this machine can boot none, or undefined. */
export function whyNoDebian(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root'
  for (const program of ['debootstrap', 'systemd-nspawn', 'nsenter', 'apt-get'])
    if (spawnSync('which', [program]).status !== 0) return `${program} is not installed`
  return undefined
}

/** Makes the files of a Debian in `root`, this Node included. Rejects with what debootstrap said. */
export async function makeDebian(root: string): Promise<void> {
  if (READY_MADE === undefined) {
    const { suite, mirror } = archive()
    const args = ['--variant=minbase', `--include=${PACKAGES.join(',')}`, suite, root, mirror]
    const { code, stdout } = await run('debootstrap', args, '/')
    if (code !== 0) throw new Error(`debootstrap: ${stdout.trimEnd().split('\n').slice(-3).join('; ')}`)
  } else {
    execFileSync('cp', ['-a', READY_MADE, root])
  }
  cpSync(process.execPath, join(root, 'usr/bin/node'))
  writeFileSync(join(root, 'etc/machine-id'), '')
}

function archive(): { suite: string; mirror: string } {
  const suite = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? ''
  const format = '$(CODENAME) $(REPO_URI)'
  const known = execFileSync('apt-get', ['indextargets', '--format', format, 'Created-By: Packages'])
  const line = known.toString().split('\n')
  const mirror = line.find((source) => source.startsWith(`${suite} `))?.split(' ')[1]
  if (mirror === undefined) throw new Error(`apt has no source for ${suite}`)
  return { suite, mirror }
}

export class DebianHost {
  private container: ChildProcess | undefined
  private leader = 0

  /** `shared` are folders of this machine that the host sees, read-only, by their path there. */
  constructor(
    readonly root: string,
    private readonly shared: Readonly<Record<string, string>>,
  ) {}

  /** Resolves when systemd has started all that it starts. */
  async boot(): Promise<void> {
    const binds = Object.entries(this.shared).map(([there, here]) => `--bind-ro=${here}:${there}`)
    const own = ['--private-network', '--register=no', '--keep-unit', '--console=pipe']
    const container = spawn('systemd-nspawn', ['-D', this.root, '--boot', ...own, ...binds], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.container = container
    let said = ''
    container.stderr.on('data', (text) => (said += String(text)))
    await until(
      async () => {
        if (container.exitCode !== null) throw new Error(`systemd-nspawn ended: ${said}`)
        this.leader = childOf(container.pid ?? 0)
        if (this.leader === 0) return false
        const { stdout } = await this.run('systemctl', 'is-system-running').catch(() => ({ stdout: '' }))
        return /^(?:running|degraded)$/.test(stdout.trim())
      },
      () => `the Debian did not come up: ${said}`,
    )
  }

  async powerOff(): Promise<void> {
    const { container } = this
    if (container?.exitCode !== null) return
    const ended = once(container, 'exit')
    await this.run('systemctl', 'poweroff')
    await ended
  }

  /** With the host's first process all others end. */
  kill(): void {
    if (this.leader !== 0 && this.container?.exitCode === null) process.kill(this.leader, 'SIGKILL')
    this.container?.kill('SIGKILL')
  }

  run(...command: string[]): Promise<Ran> {
    const env = ['env', '-i', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin', 'HOME=/root']
    return run('nsenter', ['-t', String(this.leader), '-a', ...env, 'LANG=C.UTF-8', ...command], '/')
  }

  /** Its standard output, where all of it went well. */
  async output(...command: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...command)
    if (code !== 0) throw new Error(`${command.join(' ')}: ${code}\n${stdout}${stderr}`)
    return stdout.trimEnd()
  }

  /** A shell's script in it. */
  sh(script: string): Promise<string> {
    return this.output('sh', '-euc', script)
  }

  path(path: string): string {
    return join(this.root, path)
  }
}

function childOf(pid: number): number {
  const file = `/proc/${pid}/task/${pid}/children`
  return existsSync(file) ? Number(readFileSync(file, 'utf8').split(' ')[0] ?? 0) : 0
}
