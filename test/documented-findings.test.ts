import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { expect, test } from '@jest/globals'

import { FINDING_KINDS } from '../src/domain/ledger/findings.js'

/** Seen from dist/test, where this runs. */
const FORMAT = fileURLToPath(new URL('../../docs/ledger-format.md', import.meta.url))

test('docs/ledger-format.md lists every kind of finding, and no other', () => {
  const [, list] = readFileSync(FORMAT, 'utf8').split('## What a verifier reports')
  const listed = [...list!.matchAll(/^\| `([a-z-]+)` /gm)].map(([, kind]) => kind)
  expect(listed.sort()).toEqual([...FINDING_KINDS].sort())
})
