// What the broker needs at AWS, as policy documents: printed by `cloud-setup`, evaluated by the tests.

import { WALLET_TAG } from '../mint.js'
import { STS_AUDIENCE } from '../ledger/audience.js'

export interface CloudPlan {
  account: string
  region: string
  issuer: string
  /** The issuer without its scheme: how IAM names the provider. */
  provider: string
  dataRole: string
  bucket: string
  mailDomain: string
}

export const ROUTER_ROLE = 'agentkeys-mail-router'
export const HOST_ROLE = 'agentkeys-broker-host'
export const RULE_SET = 'agentkeys'
export const RULE = 'agentkeys-inbound'

/** A policy document; its members are printed in this order. */
export interface Document {
  Version: '2012-10-17'
  Statement: object[]
}

/** The variable that stands for the session's wallet. The slash that follows it is what keeps 0xa… from 0xa…-backup. */
const OWN = `users/\${aws:PrincipalTag/${WALLET_TAG}}/*`

export function roleArn({ account }: CloudPlan, name: string): string {
  return `arn:aws:iam::${account}:role/${name}`
}

export function providerArn({ account, provider }: CloudPlan): string {
  return `arn:aws:iam::${account}:oidc-provider/${provider}`
}

/**
 * A token without tags needs no sts:TagSession, so the tag's presence is asked for where the role is assumed too.
 * sts:RoleAuthorizedByIdp exists for AssumeRoleWithWebIdentity only, so the tags have a statement of their own.
 */
export function dataRoleTrust(plan: CloudPlan): Document {
  const Principal = { Federated: providerArn(plan) }
  const fromTheBroker = {
    StringEquals: { [`${plan.provider}:aud`]: STS_AUDIENCE },
    StringLike: { [`${plan.provider}:sub`]: 'agentkeys:agent:0x*' },
    Null: { [`aws:RequestTag/${WALLET_TAG}`]: 'false' },
  }
  const onlyTheWallet = { 'aws:TagKeys': [WALLET_TAG], 'sts:TransitiveTagKeys': [WALLET_TAG] }
  return document(
    {
      Sid: 'ExchangeTheBrokersToken',
      Effect: 'Allow',
      Principal,
      Action: 'sts:AssumeRoleWithWebIdentity',
      Condition: { ...fromTheBroker, Bool: { 'sts:RoleAuthorizedByIdp': 'true' } },
    },
    {
      Sid: 'TagWithTheWallet',
      Effect: 'Allow',
      Principal,
      Action: ['sts:TagSession', 'sts:SetSourceIdentity'],
      Condition: { ...fromTheBroker, 'ForAllValues:StringEquals': onlyTheWallet },
    },
  )
}

/** No S3 in it: an S3 permission here would be added to those of the bucket policy, and undo the isolation. */
export function dataRolePolicy(plan: CloudPlan): Document {
  return document({
    Sid: 'SendMail',
    Effect: 'Allow',
    Action: 'ses:SendRawEmail',
    Resource: `arn:aws:ses:${plan.region}:${plan.account}:identity/${plan.mailDomain}`,
    Condition: { StringLike: { 'ses:FromAddress': `*@${plan.mailDomain}` } },
  })
}

export function bucketPolicy(plan: CloudPlan): Document {
  const data = { AWS: roleArn(plan, plan.dataRole) }
  const bucket = `arn:aws:s3:::${plan.bucket}`
  const rule = `arn:aws:ses:${plan.region}:${plan.account}:receipt-rule-set/${RULE_SET}:receipt-rule/${RULE}`
  return document(
    {
      Sid: 'ReceiveMail',
      Effect: 'Allow',
      Principal: { Service: 'ses.amazonaws.com' },
      Action: 's3:PutObject',
      Resource: `${bucket}/inbound/*`,
      Condition: { StringEquals: { 'aws:SourceAccount': plan.account, 'aws:SourceArn': rule } },
    },
    {
      Sid: 'ListOwnPrefix',
      Effect: 'Allow',
      Principal: data,
      Action: 's3:ListBucket',
      Resource: bucket,
      Condition: { StringLike: { 's3:prefix': OWN } },
    },
    {
      Sid: 'UseOwnObjects',
      Effect: 'Allow',
      Principal: data,
      Action: ['s3:GetObject', 's3:PutObject', 's3:DeleteObject', 's3:AbortMultipartUpload'],
      Resource: `${bucket}/${OWN}`,
    },
    {
      Sid: 'InboundIsTheRouters',
      Effect: 'Deny',
      Principal: data,
      Action: 's3:*',
      Resource: `${bucket}/inbound/*`,
    },
  )
}

export function hostTrust(): Document {
  const Principal = { Service: 'ec2.amazonaws.com' }
  return document({ Sid: 'TheInstance', Effect: 'Allow', Principal, Action: 'sts:AssumeRole' })
}

/** In web-identity mode the broker needs no AWS rights; the mail router on the same host has a role of its own. */
export function hostPolicy(plan: CloudPlan): Document {
  const Resource = roleArn(plan, ROUTER_ROLE)
  return document({ Sid: 'BecomeTheRouter', Effect: 'Allow', Action: 'sts:AssumeRole', Resource })
}

export function routerTrust(plan: CloudPlan): Document {
  const Principal = { AWS: roleArn(plan, HOST_ROLE) }
  return document({ Sid: 'TheBrokersHost', Effect: 'Allow', Principal, Action: 'sts:AssumeRole' })
}

export function routerPolicy({ bucket }: CloudPlan): Document {
  const arn = `arn:aws:s3:::${bucket}`
  return document(
    {
      Sid: 'ListInbound',
      Effect: 'Allow',
      Action: 's3:ListBucket',
      Resource: arn,
      Condition: { StringLike: { 's3:prefix': 'inbound/*' } },
    },
    {
      Sid: 'TakeInbound',
      Effect: 'Allow',
      Action: ['s3:GetObject', 's3:DeleteObject'],
      Resource: `${arn}/inbound/*`,
    },
    {
      Sid: 'DeliverOrSetAside',
      Effect: 'Allow',
      Action: 's3:PutObject',
      Resource: [`${arn}/users/*/inbox/*`, `${arn}/undelivered/*`],
    },
  )
}

function document(...Statement: object[]): Document {
  return { Version: '2012-10-17', Statement }
}
