import { expect, test } from '@jest/globals'

import {
  type Expected,
  type Row,
  type Verdict,
  verdictOf,
  verifyLedger,
} from '../../src/domain/ledger/verify.js'
import { ledgerOf } from '../../test/support/ledger-builder.js'

import { verifySource } from './checks.js'
import type { Source } from './sources/source.js'

const texts = [...ledgerOf(1_000)].flat().map(({ text }) => text)

/** `rows` in batches of seven, the place of row `gapAt` and all after it shifted by one. */
function sourceOf(rows: readonly Row[], gapAt = Infinity): Source {
  return {
    description: 'a test',
    progress: () => 0,
    close: () => Promise.resolve(),
    async *batches() {
      for (let i = 0; i < rows.length; i += 7) {
        yield await Promise.resolve({ from: i >= gapAt ? i + 1 : i, rows: rows.slice(i, i + 7) })
      }
    },
  }
}

async function verdict(source: Source, expected?: Expected): Promise<Verdict> {
  const { size, head, counts, findings } = await verifySource(source, { expected })
  return verdictOf({ size, head }, counts, findings)
}

const spoilt: Record<string, readonly Row[]> = {
  'a ledger that no one touched': texts,
  'an empty one': [],
  'one with an entry gone': texts.toSpliced(500, 1),
  'one with two entries swapped': texts.with(100, texts[101]!).with(101, texts[100]!),
  'one with junk in it': texts.with(3, 'junk').with(4, 'junk').with(20, '{}').with(999, ''),
  'one with rows that hold no text': (texts as Row[]).with(6, { problem: 'malformed', detail: 'null' }),
  'one with a session gone': texts.with(4, texts[5]!),
}

test.each(Object.keys(spoilt))('two threads find what one finds: %s', async (name) => {
  const rows = spoilt[name]!
  const expected = { size: 1_000, head: 'f'.repeat(64) }
  expect(await verdict(sourceOf(rows))).toEqual(verifyLedger(rows))
  expect(await verdict(sourceOf(rows), expected)).toEqual(verifyLedger(rows, expected))
})

test('entries that the store keeps at other places than their own are found once', async () => {
  const { findings } = await verdict(sourceOf(texts, 490))
  expect(findings.map(({ index, kind, detail }) => [index, kind, detail])).toEqual([
    [490, 'wrong-index', 'entry 490 is kept at place 491 of the store'],
  ])
})

test('a source that fails in its midst ends the verification with its error', async () => {
  const source = sourceOf(texts)
  const batches = async function* () {
    for await (const batch of source.batches()) {
      if (batch.from > 50) throw new Error('the disk is gone')
      yield batch
    }
  }
  await expect(verifySource({ ...source, batches })).rejects.toThrow('the disk is gone')
})
