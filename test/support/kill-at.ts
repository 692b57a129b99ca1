// Loaded into a broker before its own code (node --import), in every thread of it: kills the process at the step that
// a file names, and notes each checkpoint that is signed. The broker knows nothing of it: what is wrapped is what the
// broker calls, in Node, SQLite and the HTTP client.

import crypto from 'node:crypto'
import { subscribe } from 'node:diagnostics_channel'
import { appendFileSync, readFileSync } from 'node:fs'
import fs from 'node:fs/promises'
import { ServerResponse } from 'node:http'
import { syncBuiltinESMExports } from 'node:module'
import { basename } from 'node:path'

import Sqlite from 'better-sqlite3'

import { KILL_AT_FILE, SIGNED_FILE, type StepName } from './crash-steps.js'

/** Under way are a broker's own start and its callers; what is not armed is an ordinary broker. */
function at(step: StepName): void {
  if (armed() === step) process.kill(process.pid, 'SIGKILL')
}

function armed(): string | undefined {
  try {
    return readFileSync(process.env[KILL_AT_FILE] as string, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

interface Around {
  before?: StepName
  after?: StepName
}

/** By the file and how the statement begins. */
const STATEMENTS: [file: string, sql: string, around: Around][] = [
  ['ledger.sqlite', 'INSERT INTO ledger', { before: 'append: nothing written' }],
  [
    'ledger.sqlite',
    'COMMIT',
    { before: 'append: written, not committed', after: 'append: committed, the broker without an answer' },
  ],
  ['audit.sqlite', 'INSERT INTO tiles', { before: 'tiles: nothing written' }],
  ['audit.sqlite', 'UPDATE position', { before: 'tiles: written, position not' }],
  [
    'audit.sqlite',
    'COMMIT',
    {
      before: 'tiles: written with position, not committed',
      after: 'tiles: committed, the broker without an answer',
    },
  ],
]

const isWrite = (sql: string) => /^(?:INSERT|UPDATE|DELETE)/.test(sql)
/** The files that a transaction of this thread has written and not committed yet. */
const written = new Set<string>()

function wrapStatements(): void {
  const db = new Sqlite(':memory:')
  const prototype = Object.getPrototypeOf(db.prepare('SELECT 1')) as Sqlite.Statement
  db.close()
  const run = method<(...values: unknown[]) => Sqlite.RunResult>(prototype, 'run')
  prototype.run = function (this: Sqlite.Statement, ...values: unknown[]) {
    const file = basename(this.database.name)
    if (isWrite(this.source)) written.add(file)
    // The transactions of queries commit too, a start's own among them: only what was written is meant.
    const isMeant = this.source !== 'COMMIT' || written.delete(file)
    const around = isMeant
      ? STATEMENTS.find(([of, sql]) => of === file && this.source.startsWith(sql))?.[2]
      : undefined
    if (around?.before) at(around.before)
    const result = run.apply(this, values)
    if (around?.after) at(around.after)
    return result
  }
}

/** JWTs are signed with a digest, what the ledger key signs without one: checkpoints, and statements that name their kind. */
const isStatement = (data: Buffer) => Buffer.from(data).toString().startsWith('agentkeys-broker/')

function wrapSign(): void {
  const { sign } = crypto
  const wrapped = (digest: string | null, data: Buffer, key: crypto.SignKeyObjectInput): Buffer => {
    if (digest === null && isStatement(data)) return sign(digest, data, key)
    at(digest === null ? 'checkpoint: to be signed' : 'release: the receipt is made, the JWT not signed')
    const signature = sign(digest, data, key)
    if (digest === null)
      appendFileSync(process.env[SIGNED_FILE] as string, `${Buffer.from(data).toString('base64')}\n`)
    at(digest === null ? 'checkpoint: signed, no one has it' : 'release: the JWT is signed')
    return signature
  }
  crypto.sign = wrapped as typeof sign
}

const TRACE = 'last-checkpoint'
const isItsNeighbour = (path: string) => basename(path).startsWith(`.${TRACE}.`)

function wrapTrace(): void {
  const { open, rename } = fs
  fs.open = async (path, ...rest) => {
    const isTrace = isItsNeighbour(path as string)
    if (isTrace) at('trace: nothing written')
    const file = await open(path, ...rest)
    if (isTrace) at('trace: file made, empty')
    return file
  }
  fs.rename = async (from, to) => {
    const isTrace = isItsNeighbour(from as string)
    if (isTrace) at('trace: written, not renamed')
    await rename(from, to)
    if (isTrace) at('trace: renamed, folder not synced')
  }
}

function listenToWitnesses(): void {
  const toWitness = (message: unknown) =>
    (message as { request: { path: string } }).request.path.endsWith('/add-checkpoint')
  subscribe('undici:request:create', (message) => {
    if (toWitness(message)) at('witness: to be shown the checkpoint')
  })
  subscribe('undici:request:headers', (message) => {
    if (toWitness(message)) at('witness: has cosigned, its answer not read')
  })
}

function wrapReply(): void {
  const end = method<(...rest: unknown[]) => ServerResponse>(ServerResponse.prototype, 'end')
  ServerResponse.prototype.end = function (this: ServerResponse, ...rest: unknown[]) {
    if (this.req.url?.startsWith('/v1/mint')) {
      at('reply: nothing written')
      this.once('finish', () => at('reply: written'))
    }
    return end.apply(this, rest)
  }
}

/** To be called with `this`. */
function method<T>(prototype: object, name: string): T {
  return Reflect.get(prototype, name) as T
}

wrapStatements()
wrapSign()
wrapTrace()
listenToWitnesses()
wrapReply()
syncBuiltinESMExports()
