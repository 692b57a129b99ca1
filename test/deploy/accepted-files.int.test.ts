// The compose files and nginx.conf, read by the programs they are written for. Neither needs an engine or a network for
// that. Where a program is missing, the name of a skipped test says what was not asked.

import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'

import { composeFile, ROOT, textOf } from './compose-file.js'

const isInstalled = (program: string, question: string) => spawnSync(program, [question]).status === 0

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'accepted-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function answer(program: string, args: string[]): { status: number | null; stderr: string } {
  const { status, stderr } = spawnSync(program, args, { cwd: folder, encoding: 'utf8' })
  return { status, stderr }
}

const ACCEPTED = { status: 0, stderr: '' }

const FILES = ['docker-compose.yml', 'docker-compose.cluster.yml']

/** A copy of a compose file, and what it reads of the machine: the env files, which no clone has. */
function copied(name: string): void {
  cpSync(join(ROOT, name), join(folder, name))
  const named = Object.values(composeFile(name).services).flatMap(({ env_file = [] }) => env_file)
  for (const path of new Set(named)) {
    mkdirSync(join(folder, dirname(path)), { recursive: true })
    writeFileSync(join(folder, path), 'A_VARIABLE=a value\n')
  }
}

if (!isInstalled('docker-compose', 'version'))
  test.skip(`docker-compose config, asked of ${FILES.join(' and ')}: docker-compose is not installed`, () => {})
else
  describe('docker-compose config', () => {
    const config = (name: string) => answer('docker-compose', ['-f', name, 'config', '-q'])

    test.each(FILES)('accepts %s', (name) => {
      copied(name)
      expect(config(name)).toEqual(ACCEPTED)
    })

    test('names an env file that is missing', () => {
      copied('docker-compose.cluster.yml')
      rmSync(join(folder, 'deploy/secrets/broker.env'))
      const { status, stderr } = config('docker-compose.cluster.yml')
      expect(status).not.toBe(0)
      expect(stderr).toContain('deploy/secrets/broker.env')
    })

    test.each(FILES)('refuses %s with a misspelt key', (name) => {
      copied(name)
      const text = textOf(name)
      writeFileSync(join(folder, name), text.replace('healthcheck:', 'healthchek:'))
      expect(config(name).status).not.toBe(0)
    })
  })

/** nginx.conf as a machine can read it that has neither containers nor their names; all it writes goes to `folder`. */
function nginxConf(change: (text: string) => string = (text) => text): string[] {
  const text = textOf('deploy/nginx.conf')
    .replace(/\bbroker[12]:8091\b/g, '127.0.0.1:8091')
    .replace(/ \/tmp\//g, ` ${folder}/`)
    .replace(/ \/dev\/(stdout|stderr)\b/g, ` ${folder}/$1`)
  writeFileSync(join(folder, 'nginx.conf'), change(text))
  return ['-t', '-q', '-p', folder, '-e', join(folder, 'stderr'), '-c', join(folder, 'nginx.conf')]
}

if (!isInstalled('nginx', '-v'))
  test.skip('nginx -t, asked of deploy/nginx.conf: nginx is not installed', () => {})
else
  describe('nginx -t', () => {
    test('accepts deploy/nginx.conf', () => {
      expect(answer('nginx', nginxConf())).toEqual(ACCEPTED)
      expect(readFileSync(join(folder, 'stderr'), 'utf8')).toBe('')
    })

    test('refuses it with a misspelt directive', () => {
      const { status } = answer(
        'nginx',
        nginxConf((text) => text.replace('proxy_read_timeout', 'proxy_read_timeut')),
      )
      expect(status).not.toBe(0)
    })
  })
