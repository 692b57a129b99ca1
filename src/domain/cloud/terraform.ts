// The plan as Terraform text.

import {
  bucketPolicy,
  type CloudPlan,
  dataRolePolicy,
  dataRoleTrust,
  type Document,
  HOST_ROLE,
  hostPolicy,
  hostTrust,
  ROUTER_ROLE,
  routerPolicy,
  routerTrust,
  RULE,
  RULE_SET,
} from './plan.js'

export function terraform(plan: CloudPlan): string {
  return [
    'variable "hosted_zone_id" {\n  type = string\n}',
    block('aws_iam_openid_connect_provider', 'broker', {
      url: text(plan.issuer),
      client_id_list: '["sts.amazonaws.com"]',
    }),
    role('data', plan.dataRole, { trust: dataRoleTrust(plan), policy: dataRolePolicy(plan) }),
    role('host', HOST_ROLE, { trust: hostTrust(), policy: hostPolicy(plan) }),
    role('router', ROUTER_ROLE, { trust: routerTrust(plan), policy: routerPolicy(plan) }),
    block('aws_iam_instance_profile', 'host', { name: text(HOST_ROLE), role: 'aws_iam_role.host.name' }),
    ...bucket(plan),
    ...mail(plan),
    block('aws_eip', 'broker', { domain: text('vpc') }),
    block('aws_route53_record', 'broker', {
      zone_id: 'var.hosted_zone_id',
      name: text(new URL(plan.issuer).hostname),
      type: text('A'),
      ttl: '300',
      records: '[aws_eip.broker.public_ip]',
    }),
  ].join('\n\n')
}

function bucket(plan: CloudPlan): string[] {
  const id = { bucket: 'aws_s3_bucket.mail.id' }
  return [
    block('aws_s3_bucket', 'mail', { bucket: text(plan.bucket) }),
    block('aws_s3_bucket_public_access_block', 'mail', {
      ...id,
      block_public_acls: 'true',
      block_public_policy: 'true',
      ignore_public_acls: 'true',
      restrict_public_buckets: 'true',
    }),
    block('aws_s3_bucket_policy', 'mail', {
      ...id,
      policy: json(bucketPolicy(plan)),
      depends_on: '[aws_iam_role.data]',
    }),
    `resource "aws_s3_bucket_lifecycle_configuration" "mail" {
  bucket = aws_s3_bucket.mail.id
  rule {
    id     = "inbound"
    status = "Enabled"
    filter {
      prefix = "inbound/"
    }
    expiration {
      days = 30
    }
  }
}`,
  ]
}

function mail({ mailDomain }: CloudPlan): string[] {
  return [
    `resource "aws_sesv2_email_identity" "mail" {
  email_identity = ${text(mailDomain)}
  dkim_signing_attributes {
    next_signing_key_length = "RSA_2048_BIT"
  }
}`,
    block('aws_ses_receipt_rule_set', 'mail', { rule_set_name: text(RULE_SET) }),
    `resource "aws_ses_receipt_rule" "inbound" {
  name          = ${text(RULE)}
  rule_set_name = aws_ses_receipt_rule_set.mail.rule_set_name
  recipients    = [${text(mailDomain)}]
  enabled       = true
  scan_enabled  = true
  tls_policy    = "Require"
  s3_action {
    bucket_name       = aws_s3_bucket.mail.id
    object_key_prefix = "inbound/"
    position          = 1
  }
  depends_on = [aws_s3_bucket_policy.mail]
}`,
  ]
}

function role(label: string, name: string, { trust, policy }: { trust: Document; policy: Document }): string {
  const needs = { data: 'aws_iam_openid_connect_provider.broker', router: 'aws_iam_role.host' }[label]
  return [
    block('aws_iam_role', label, {
      name: text(name),
      max_session_duration: '3600',
      assume_role_policy: json(trust),
      ...(needs === undefined ? {} : { depends_on: `[${needs}]` }),
    }),
    block('aws_iam_role_policy', label, {
      name: text('agentkeys'),
      role: `aws_iam_role.${label}.id`,
      policy: json(policy),
    }),
  ].join('\n\n')
}

function block(type: string, label: string, members: Record<string, string>): string {
  const lines = Object.entries(members).map(([name, value]) => `  ${name} = ${value}\n`)
  return `resource "${type}" "${label}" {\n${lines.join('')}}`
}

function text(value: string): string {
  return escaped(JSON.stringify(value))
}

function json(document: Document): string {
  return `<<EOT\n${escaped(JSON.stringify(document, null, 2))}\nEOT`
}

/** IAM's variables look like Terraform's: doubled, the dollar stands for itself. */
function escaped(value: string): string {
  return value.replace(/[$%](?=\{)/g, (mark) => mark + mark)
}
