// A package of this repository as its users get it: packed from a checkout that has no build, then installed by npm into
// an empty folder.

import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const PROJECT = fileURLToPath(new URL('../../..', import.meta.url))

/** What a build and a package are made of. */
const CHECKED_OUT = [
  ...[
    'src',
    'tools',
    'packages',
    'docs',
    'deploy',
    'scripts',
    'package.json',
    'package-lock.json',
    'tsconfig.json',
  ],
  ...['tsconfig.build.json', 'LICENSE', 'README.md', 'CHANGELOG.md', 'SECURITY.md'],
]

export interface Ran {
  code: number
  stdout: string
  stderr: string
}

/** A checkout in `folder` without `dist`, with this project's modules. */
export function checkOut(folder: string): string {
  const checkout = join(folder, 'checkout')
  mkdirSync(checkout)
  const isSource = (path: string): boolean =>
    !/\/(?:dist|LICENSE)$/.test(path) || path === join(PROJECT, 'LICENSE')
  for (const name of CHECKED_OUT)
    cpSync(join(PROJECT, name), join(checkout, name), { recursive: true, filter: isSource })
  symlinkSync(join(PROJECT, 'node_modules'), join(checkout, 'node_modules'))
  return checkout
}

/** Packs what lies in `packageFolder`, its prepack included. Resolves with the tarball's path. */
export async function pack(packageFolder: string, folder: string): Promise<string> {
  const destination = join(folder, 'packed')
  mkdirSync(destination, { recursive: true })
  const before = new Set(readdirSync(destination))
  const { code, stdout, stderr } = await run(
    'npm',
    ['pack', '--silent', '--pack-destination', destination],
    packageFolder,
  )
  const made = readdirSync(destination).find((name) => !before.has(name))
  if (code !== 0 || made === undefined) throw new Error(`npm pack failed: ${stdout}${stderr}`)
  return join(destination, made)
}

export async function contentsOf(tarball: string): Promise<string[]> {
  const { stdout } = await run('tar', ['-tzf', tarball], '/')
  return stdout
    .trimEnd()
    .split('\n')
    .map((path) => path.replace(/^package\//, ''))
}

/** Installs `spec` into the new folder `into`, without scripts. Resolves with what npm printed. */
export async function install(spec: string, into: string, flags: readonly string[] = []): Promise<Ran> {
  mkdirSync(into)
  writeFileSync(join(into, 'package.json'), '{}')
  const common = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--no-update-notifier']
  return run('npm', ['install', ...common, ...flags, spec], into)
}

export function manifestOf(folder: string): {
  version: string
  bin: Record<string, string>
  exports: object
} {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as ReturnType<typeof manifestOf>
}

/** Rejects only when `program` cannot be started. */
export function run(
  program: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const options = { cwd, env: { ...process.env, ...env }, maxBuffer: 64 * 1024 * 1024 }
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number')
        reject(new Error(`${program} cannot run`, { cause: error }))
      else resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
    })
  })
}
