// SECURITY.md's table of who is stopped by what: each row is tried by tests, which are named here by file and title. A
// new row without a test fails, and so does a test that is renamed or gone.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { expect, test } from '@jest/globals'

/** Seen from dist/test, where this runs. */
const read = (path: string) => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8')

/** The first cells of the table, in its order. */
function rowsOf(markdown: string): string[] {
  const [, section = ''] = markdown.split('## What the broker protects, and against whom')
  const lines = (section.split('\n## ')[0] ?? '').split('\n').filter((line) => line.startsWith('|'))
  return lines.slice(2).map((line) => (line.split('|')[1] ?? '').replaceAll('**', '').trim())
}

type Tried = readonly [file: string, title: string]

const TRIED: Readonly<Record<string, readonly Tried[]>> = {
  'has no session': [
    [
      'test/e2e/bad-input.e2e.test.ts',
      'that answers with no wallet, or not at all, is a 502, and nothing is minted',
    ],
    [
      'test/e2e/bad-input.e2e.test.ts',
      'that is gone is a 502 and not ready; what it said before counts for nothing',
    ],
    ['test/e2e/bad-input.e2e.test.ts', "that is the broker's own JWT opens nothing"],
  ],
  "has an agent's session": [
    ['test/e2e/aws.e2e.test.ts', 'the keys work, and the session is tagged and named after the wallet'],
    ['test/e2e/aws.e2e.test.ts', 'duration_seconds is 900 to the configured maximum'],
    [
      'test/e2e/child-session.e2e.test.ts',
      'a child is given what its scope holds, and its entries say what bound it',
    ],
    ['test/faults/revocation.fault.test.ts', 'a revoked session cannot mint with its very next request'],
    ['test/e2e/cut-off.e2e.test.ts', 'refuses a session with all its children, and not the wallet'],
  ],
  'is an agent that was talked into something': [
    [
      'test/e2e/aws.e2e.test.ts',
      'a listed role is given; any other is a 403 and a MintRefused, and STS is not asked',
    ],
    ['test/e2e/aws.e2e.test.ts', 'what is not listed or out of bounds is a 403 and a MintRefused'],
    ['test/e2e/bad-input.e2e.test.ts', 'that is no ask is a 400 that names the field, and leaves no entry'],
  ],
  'reads the ledger, logs, metrics, errors or backups of them': [
    [
      'test/e2e/leak.e2e.test.ts',
      'no file of the data directory holds one, but the files that are there for it',
    ],
    ['test/e2e/leak.e2e.test.ts', 'the whole log at trace level holds none'],
    ['test/e2e/leak.e2e.test.ts', 'no error, header, metric or page holds one'],
  ],
  'reads a stolen copy of `sessions.sqlite`': [
    ['src/session/session-store.test.ts', 'holds no token and no auth token'],
  ],
  'replays a token at another party': [
    [
      'test/e2e/aws.e2e.test.ts',
      'opens a session of the wallet through the SDK, for the role it names and no other',
    ],
  ],
  'sends malformed, huge or hostile input': [
    ['test/e2e/bad-input.e2e.test.ts', 'of more than 16 KiB is a 413, with a length given or without'],
    ['test/e2e/bad-input.e2e.test.ts', 'that is no HTTP, or two at once, is a 400 in our words'],
    ['test/faults/flood.fault.test.ts', 'pipelined and never read, take nothing from others'],
  ],
  "has a web page open in the operator's browser": [
    ['src/http/session-listener.int.test.ts', 'is turned away by its Origin %j, whatever it is'],
    ['src/http/session-listener.int.test.ts', 'that rebinds its name gets nothing: Host %s'],
    ['src/http/session-listener.int.test.ts', 'a POST of the content type %j is refused'],
  ],
  'is another user of the machine': [
    ['test/faults/start.fault.test.ts', '%s that others can read'],
    [
      'test/e2e/unusable-files.e2e.test.ts',
      'every file that a start makes in its folder is for its owner alone',
    ],
    ['test/e2e/unusable-files.e2e.test.ts', 'that others may read or change are reported at the start'],
  ],
  'floods it with bad bearers': [
    ['test/e2e/refusals.e2e.test.ts', 'a flood of bad bearers leaves no entry, until one that counts them'],
    ['test/faults/flood.fault.test.ts', 'callers who go away do not make room for more'],
  ],
  'floods it with mints, with a good session': [
    ['test/e2e/limits.e2e.test.ts', 'a wallet over its limit is 429 with a time'],
  ],
  "rewrites, reorders or removes entries in the ledger's file or stream": [
    ['test/faults/tamper.fault.test.ts', 'whichever byte it is, something is found'],
    ['test/faults/tamper.fault.test.ts', 'two change places'],
    ['test/faults/start.fault.test.ts', 'an entry near the end is damaged'],
    ['test/faults/halts.fault.test.ts', 'the end of the ledger is deleted'],
  ],
  "is EventStoreDB's administrator, or has its disks": [
    ['test/faults/eventstoredb-tamper.fault.test.ts', 'an event is redacted with the tool of the vendor'],
    [
      'test/faults/eventstoredb-stop.fault.test.ts',
      'a ledger put back from an older backup under a running broker',
    ],
    ['test/faults/halts.fault.test.ts', 'the stream is truncated'],
  ],
  "takes a broker's EventStoreDB password": [
    [
      'test/faults/eventstoredb-password.fault.test.ts',
      'no key of it is served, nothing is minted, no broker starts',
    ],
    ['test/support/eventstoredb/stand-in.test.ts', 'by default any user may delete: only an ACL stops it'],
  ],
  "takes the broker's rights in EventStoreDB away": [
    ['test/faults/eventstoredb-rights.fault.test.ts', 'minting stops, and goes on when it is given back'],
  ],
  "cuts off the ledger's end, or puts back an old copy": [
    ['test/faults/start.fault.test.ts', 'an older copy was put in its place: %s, and it is refused'],
    [
      'test/faults/tamper.fault.test.ts',
      'what is left is a valid ledger: found only with an older checkpoint',
    ],
    ['test/faults/witness-alarm.fault.test.ts', 'refused by the larger size a witness knows'],
  ],
  'may append to the ledger, or write to `audit.sqlite`, without the ledger key': [
    [
      'test/faults/unsigned.fault.test.ts',
      'a chained key that a program puts into ledger.sqlite is not served',
    ],
    [
      'test/faults/unsigned.fault.test.ts',
      'a key that a program puts into audit.sqlite before a start is not served',
    ],
  ],
  'is the operator, with every key': [
    ['test/faults/tamper.fault.test.ts', 'what could have happened is found only with an older checkpoint'],
    ['test/faults/witness-alarm.fault.test.ts', 'a witness that $says while mints go on: they stop'],
  ],
}

const rows = rowsOf(read('SECURITY.md'))

test('the table has rows, and none is listed here that it no longer has', () => {
  expect(Object.keys(TRIED).filter((row) => !rows.includes(row))).toEqual([])
  expect(rows.length).toBeGreaterThan(10)
})

test.each(rows)('somebody who %s: there is a test that tries it', (row) => {
  const tried = TRIED[row] ?? []
  expect(tried.length).toBeGreaterThan(0)
  expect(tried.filter(([file, title]) => !read(file).includes(title))).toEqual([])
})
