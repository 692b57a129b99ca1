// What cloud-setup prints holds, is the same in every form, and its check finds what is wrong.

import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { describe, expect, test } from '@jest/globals'
import { parse as parseYaml } from 'yaml'

import { checkPolicies, type DeployedPolicies } from '../domain/cloud/check.js'
import { cliScript } from '../domain/cloud/cli-script.js'
import { cloudFormation } from '../domain/cloud/cloudformation.js'
import * as plan from '../domain/cloud/plan.js'
import { terraform } from '../domain/cloud/terraform.js'
import { parseCloudLine } from '../start/cloud-line.js'
import { cloudSetup } from './cloud-setup.js'

// Not by import: its declarations bring the browser's, which change those of Node in every file.
const require = createRequire(import.meta.url)
const { parse: parseHcl } = require('@cdktf/hcl2json') as {
  parse: (file: string, text: string) => Promise<unknown>
}

const LINE = [
  ...['--issuer', 'https://broker.example.com', '--account', '111122223333', '--region', 'eu-central-1'],
  ...['--mail-domain', 'agents.example.com'],
]

function planned(): plan.CloudPlan {
  const line = parseCloudLine(['--print', 'cli', ...LINE])
  if (line.verb !== 'print') throw new Error('not a plan')
  return line.plan
}

const P = planned()
const TAG = '${aws:PrincipalTag/agentkeys_user_wallet}'

function deployed(changes: Partial<DeployedPolicies> = {}): DeployedPolicies {
  return {
    issuer: P.issuer,
    roleArn: plan.roleArn(P, P.dataRole),
    bucket: P.bucket,
    trust: plan.dataRoleTrust(P),
    rolePolicies: [plan.dataRolePolicy(P)],
    bucketPolicy: plan.bucketPolicy(P),
    ...changes,
  }
}

function allowing(Action: string | string[], Resource: string, more: object = {}) {
  return { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action, Resource, ...more }] }
}

const DOCUMENTS = [
  ...[plan.dataRoleTrust(P), plan.dataRolePolicy(P), plan.bucketPolicy(P)],
  ...[plan.hostTrust(), plan.hostPolicy(P), plan.routerTrust(P), plan.routerPolicy(P)],
].map((document) => JSON.stringify(document))

describe('each form holds the same documents', () => {
  test('CloudFormation', () => {
    const { Resources } = parseYaml(cloudFormation(P)) as {
      Resources: Record<string, { Properties: Record<string, unknown> }>
    }
    const found = Object.values(Resources).flatMap(({ Properties }) => [
      Properties['AssumeRolePolicyDocument'],
      Properties['PolicyDocument'],
      ...((Properties['Policies'] as { PolicyDocument: object }[] | undefined) ?? []).map(
        ({ PolicyDocument }) => PolicyDocument,
      ),
    ])
    expect(
      found
        .filter(Boolean)
        .map((one) => JSON.stringify(one))
        .sort(),
    ).toEqual([...DOCUMENTS].sort())
  })

  test("Terraform, read by HashiCorp's parser", async () => {
    const parsed = (await parseHcl('main.tf', terraform(P))) as {
      resource: Record<string, Record<string, Record<string, string>[]>>
    }
    const found = Object.values(parsed.resource)
      .flatMap((one) => Object.values(one).flat())
      .flatMap(({ policy, assume_role_policy: trust }) => [policy, trust])
      .filter((one) => one !== undefined)
      // The parser leaves Terraform's doubled dollar as it is.
      .map((one) => JSON.stringify(JSON.parse(one.replaceAll('$${', '${'))))
    expect(found.sort()).toEqual([...DOCUMENTS].sort())
  })

  test('the script, which bash can read', () => {
    const script = cliScript(P)
    expect(spawnSync('bash', ['-n'], { input: script, encoding: 'utf8' })).toMatchObject({
      status: 0,
      stderr: '',
    })
    const found = Array.from(script.matchAll(/<<'EOF'\n(.*?)\nEOF/gs), ([, text = '']) =>
      JSON.stringify(JSON.parse(text)),
    )
    expect(found.sort()).toEqual([...DOCUMENTS].sort())
  })
})

describe('the check', () => {
  test('has nothing against what is printed', () => {
    expect(checkPolicies(deployed())).toEqual([])
  })

  test('finds the trap: S3 left in a policy of the role', () => {
    for (const action of ['s3:GetObject', 's3:Get*', 's3:*', '*']) {
      const rolePolicies = [plan.dataRolePolicy(P), allowing(action, '*')]
      expect(checkPolicies(deployed({ rolePolicies })).join()).toContain("s3:GetObject of another wallet's")
    }
  })

  test.each([
    ['no slash behind the wallet', `users/${TAG}*`, 'under users/<wallet>-backup/'],
    ['every wallet', 'users/*', "of another wallet's"],
  ])('finds %s', (_, path, problem) => {
    const text = JSON.stringify(plan.bucketPolicy(P)).replaceAll(`users/${TAG}/*`, path)
    expect(checkPolicies(deployed({ bucketPolicy: JSON.parse(text) })).join()).toContain(problem)
  })

  test('finds that an agent cannot do its work', () => {
    expect(checkPolicies(deployed({ bucketPolicy: undefined })).join()).toContain('it cannot do its work')
  })

  test.each([
    ['no subject', ['StringLike', undefined], ':sub must be asked for'],
    ['every subject', ['StringLike', { 'broker.example.com:sub': '*' }], ':sub must be asked for'],
    ['no audience', ['StringEquals', undefined], ':aud must be sts.amazonaws.com'],
    ['no Null', ['Null', undefined], 'a missing tag passes every other test'],
    ['no role in the token', ['Bool', undefined], 'sts:RoleAuthorizedByIdp'],
  ] as const)('finds a trust policy with %s', (_, [operator, value], problem) => {
    const trust = JSON.parse(JSON.stringify(plan.dataRoleTrust(P))) as {
      Statement: { Condition: Record<string, unknown> }[]
    }
    const condition = trust.Statement[0]?.Condition ?? {}
    if (value === undefined) delete condition[operator]
    else condition[operator] = value
    expect(checkPolicies(deployed({ trust })).join()).toContain(problem)
  })

  test('what it cannot evaluate is a problem, not a pass', () => {
    const rolePolicies = [
      allowing('s3:*', '*', { Condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } } }),
    ]
    expect(checkPolicies(deployed({ rolePolicies })).join()).toContain('operator IpAddress is not one of')
  })

  test('reads a file, and says by its exit code what it found', () => {
    const folder = mkdtempSync(join(tmpdir(), 'cloud-setup-'))
    const check = (name: string, text: string) => {
      writeFileSync(join(folder, name), text)
      return cloudSetup({ verb: 'check', file: join(folder, name) })
    }
    expect(check('good.json', JSON.stringify(deployed())).code).toBe(0)
    expect(check('bad.json', JSON.stringify(deployed({ rolePolicies: [allowing('s3:*', '*')] }))).code).toBe(
      1,
    )
    expect(check('other.json', '{}')).toMatchObject({ code: 2 })
    expect(cloudSetup({ verb: 'check', file: join(folder, 'none.json') })).toMatchObject({ code: 3 })
    rmSync(folder, { recursive: true })
  })
})

test.each([
  ['issuer', 'http://broker.example.com'],
  ['issuer', 'https://broker.example.com/$(id)'],
  ['account', '1234'],
  ['mail-domain', 'a;b.example.com'],
  ['bucket', '../x'],
  ['role', 'a b'],
  ['region', 'eu'],
])('--%s %j is refused: it would stand in a script', (name, value) => {
  expect(() => parseCloudLine(['--print', 'cli', ...LINE, `--${name}`, value])).toThrow(`--${name} must be`)
})
