// agentkeys-broker cloud-setup …: its part of the command line. Each value has a form in which no shell, JSON or Terraform
// text can read more than itself.

import { parseArgs } from 'node:util'

import type { CloudPlan } from '../domain/cloud/plan.js'

export const FORMS = ['cli', 'cloudformation', 'terraform'] as const

export type CloudLine =
  { verb: 'print'; form: (typeof FORMS)[number]; plan: CloudPlan } | { verb: 'check'; file: string }

export const CLOUD_USAGE = `agentkeys-broker cloud-setup --print cli|cloudformation|terraform --issuer URL --account ID
         --region R --mail-domain D [--bucket B] [--role NAME]
       agentkeys-broker cloud-setup --check FILE`

export class WrongCloudLine extends Error {}

const HOST = /^(?=.{1,253}$)[a-z0-9-]+(?:\.[a-z0-9-]+)+$/
const VALUES = {
  issuer: {
    form: /^https:\/\/[a-z0-9-]+(?:\.[a-z0-9-]+)+$/,
    is: 'an https URL with a host and nothing else',
  },
  account: { form: /^\d{12}$/, is: '12 digits' },
  region: { form: /^[a-z]{2}(?:-[a-z]+)+-\d$/, is: 'a region, as eu-central-1' },
  'mail-domain': { form: HOST, is: 'a domain' },
  bucket: { form: /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/, is: 'the name of a bucket' },
  role: { form: /^[\w+=,.@-]{1,64}$/, is: 'the name of a role' },
} as const
type Name = keyof typeof VALUES

export function parseCloudLine(args: readonly string[]): CloudLine {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...{ print: text, check: text, issuer: text, account: text, region: text },
      ...{ 'mail-domain': text, bucket: text, role: text },
    },
  })
  const { print, check, ...given } = values
  if (check !== undefined && print === undefined && Object.keys(given).length === 0)
    return { verb: 'check', file: check }
  const form = FORMS.find((one) => one === print)
  if (form === undefined || check !== undefined) throw new WrongCloudLine(`Usage: ${CLOUD_USAGE}`)
  return { verb: 'print', form, plan: planOf(given) }
}

function planOf(given: { [name in Name]?: string }): CloudPlan {
  const value = (name: Name, fallback?: string): string => {
    const text = given[name] ?? fallback ?? ''
    const { form, is } = VALUES[name]
    if (!form.test(text)) throw new WrongCloudLine(`cloud-setup: --${name} must be ${is}`)
    return text
  }
  const issuer = value('issuer')
  const account = value('account')
  return {
    issuer,
    account,
    provider: issuer.replace('https://', ''),
    region: value('region'),
    mailDomain: value('mail-domain'),
    bucket: value('bucket', `agentkeys-mail-${account}`),
    dataRole: value('role', 'agentkeys-data-role'),
  }
}
