// agentkeys-broker cloud-setup: prints what is to be set up at AWS, or checks what is. It calls no cloud.

import { readFileSync } from 'node:fs'

import { z } from 'zod'

import { checkPolicies } from '../domain/cloud/check.js'
import { cliScript } from '../domain/cloud/cli-script.js'
import { cloudFormation } from '../domain/cloud/cloudformation.js'
import { terraform } from '../domain/cloud/terraform.js'
import type { CloudLine } from '../start/cloud-line.js'
import type { Outcome } from './outcome.js'

const PRINTED = { cli: cliScript, cloudformation: cloudFormation, terraform }

const DEPLOYED = z.strictObject({
  issuer: z.string(),
  roleArn: z.string(),
  bucket: z.string(),
  trust: z.unknown(),
  rolePolicies: z.array(z.unknown()),
  bucketPolicy: z.unknown(),
})

export function cloudSetup(line: CloudLine): Outcome {
  switch (line.verb) {
    case 'print':
      return { code: 0, message: PRINTED[line.form](line.plan) }
    case 'check':
      return checkFile(line.file)
  }
}

function checkFile(file: string): Outcome {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    return { code: 3, message: `cloud-setup: ${(error as Error).message}` }
  }
  const parsed = DEPLOYED.safeParse(json(text))
  if (!parsed.success) {
    const members = Object.keys(DEPLOYED.shape).join(', ')
    return { code: 2, message: `cloud-setup: ${file} must be a JSON object with ${members}` }
  }
  const problems = checkPolicies(parsed.data)
  if (problems.length === 0) return { code: 0, message: 'the trust policy and the isolation of wallets hold' }
  return { code: 1, message: problems.map((one) => `cloud-setup: ${one}`).join('\n') }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
