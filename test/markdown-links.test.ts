// Every link between the project's Markdown files leads to a file, and to a heading, that is there.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

import { expect, test } from '@jest/globals'

import { ROOT } from './deploy/compose-file.js'

const inFolder = (folder: string) =>
  readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name))
const PAGES = [...inFolder('.'), ...inFolder('docs')]

/** Code is no text: what looks like a heading or a link there is none. */
const textOf = (page: string) => readFileSync(join(ROOT, page), 'utf8').replace(/```.*?```/gs, '')

/** As GitHub makes it of a heading. */
function anchor(heading: string): string {
  const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
  return plain
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_\- ]/gu, '')
    .replaceAll(' ', '-')
}

const anchorsOf = (page: string) =>
  new Set([...textOf(page).matchAll(/^#+ (.*)$/gm)].map((match) => anchor(match[1] ?? '')))

function brokenLinks(page: string): string[] {
  const links = [...textOf(page).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? '')
  return links.filter((link) => {
    if (/^[a-z]+:/.test(link)) return false
    const [path = '', fragment] = link.split('#')
    const target = path === '' ? page : normalize(join(dirname(page), path))
    if (!existsSync(join(ROOT, target))) return true
    return fragment !== undefined && target.endsWith('.md') && !anchorsOf(target).has(fragment)
  })
}

test.each(PAGES)('%s has no broken link', (page) => {
  expect(brokenLinks(page)).toEqual([])
})

test('a heading that is not there is a broken link', () => {
  expect(anchorsOf('docs/operator.md').has('backup-and-restore')).toBe(true)
  expect(anchorsOf('docs/operator.md').has('backup')).toBe(false)
})
