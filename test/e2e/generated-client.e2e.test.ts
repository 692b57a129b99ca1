// A client that is generated from the description with other people's tools: it compiles, and it mints.

import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import openapiTS, { astToString } from 'openapi-typescript'
import ts from 'typescript'

import { BROKER_API } from '../support/described.js'
import { BrokerProcess } from '../support/broker-process.js'

const CLIENT = `
import createClient from 'openapi-fetch'
import type { paths } from './api.js'

export async function mint(baseUrl: string, bearer: string): Promise<[string, number]> {
  const client = createClient<paths>({ baseUrl, headers: { authorization: 'Bearer ' + bearer } })
  const { data, error } = await client.POST('/v1/mint-oidc-jwt', { body: { ttl_seconds: 60 } })
  if (!data) throw new Error(error.reason)
  const page = await client.GET('/v1/audit/mints', { params: { query: { jti: data.jti } } })
  const [mint] = page.data?.mints ?? []
  return [data.jwt, mint?.jwt_issued_index ?? -1]
}
`

const folder = mkdtempSync(join(tmpdir(), 'generated-client-'))
let broker: BrokerProcess
beforeAll(async () => {
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  const types = await openapiTS(JSON.stringify(BROKER_API.document))
  writeFileSync(join(folder, 'api.ts'), astToString(types))
  broker = await BrokerProcess.start()
})
afterAll(async () => {
  await broker.dispose()
  rmSync(folder, { recursive: true })
})

/** Every complaint of the compiler; what it compiles is beside the source. */
function compile(name: string, source: string): string[] {
  const file = join(folder, `${name}.ts`)
  writeFileSync(file, source)
  const { NodeNext } = ts.ModuleKind
  const program = ts.createProgram([file], {
    strict: true,
    module: NodeNext,
    target: ts.ScriptTarget.ES2023,
    skipLibCheck: true,
    types: [],
    lib: ['lib.es2023.d.ts', 'lib.dom.d.ts'],
  })
  program.emit()
  return ts
    .getPreEmitDiagnostics(program)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
}

describe('a TypeScript client that is generated from the description', () => {
  test('compiles, mints, and finds the mint in the audit', async () => {
    expect(compile('client', CLIENT)).toEqual([])
    const { mint } = (await import(pathToFileURL(join(folder, 'client.js')).href)) as {
      mint: (url: string, bearer: string) => Promise<[string, number]>
    }
    const { session } = await broker.session()
    const [jwt, index] = await mint(broker.url, session)
    expect(jwt.split('.')).toHaveLength(3)
    expect(index).toBeGreaterThan(0)
    await expect(mint(broker.url, 'nothing')).rejects.toThrow('session-not-valid')
  })

  test('does not compile with a lifetime that is no number', () => {
    const complaints = compile('wrong', CLIENT.replace('ttl_seconds: 60', "ttl_seconds: '60'"))
    expect(complaints).toContainEqual(expect.stringContaining("'string' is not assignable to type 'number'"))
  })
})
