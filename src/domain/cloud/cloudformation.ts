// The plan as a CloudFormation template, in JSON, which is YAML too.

import {
  bucketPolicy,
  type CloudPlan,
  dataRolePolicy,
  dataRoleTrust,
  HOST_ROLE,
  hostPolicy,
  hostTrust,
  ROUTER_ROLE,
  routerPolicy,
  routerTrust,
  RULE,
  RULE_SET,
} from './plan.js'

export function cloudFormation(plan: CloudPlan): string {
  return JSON.stringify(template(plan), null, 2)
}

function template(plan: CloudPlan) {
  return {
    AWSTemplateFormatVersion: '2010-09-09',
    Description: 'AgentKeys Broker: OIDC provider, roles, bucket, mail, address',
    Parameters: { HostedZoneId: { Type: 'AWS::Route53::HostedZone::Id' } },
    Resources: {
      Provider: resource('IAM::OIDCProvider', { Url: plan.issuer, ClientIdList: ['sts.amazonaws.com'] }),
      DataRole: {
        ...role(plan.dataRole, dataRoleTrust(plan), dataRolePolicy(plan)),
        DependsOn: 'Provider',
      },
      HostRole: role(HOST_ROLE, hostTrust(), hostPolicy(plan)),
      RouterRole: { ...role(ROUTER_ROLE, routerTrust(plan), routerPolicy(plan)), DependsOn: 'HostRole' },
      HostProfile: resource('IAM::InstanceProfile', {
        InstanceProfileName: HOST_ROLE,
        Roles: [{ Ref: 'HostRole' }],
      }),
      ...mail(plan),
      Address: resource('EC2::EIP', { Domain: 'vpc' }),
      Record: resource('Route53::RecordSet', {
        HostedZoneId: { Ref: 'HostedZoneId' },
        Name: new URL(plan.issuer).hostname,
        Type: 'A',
        TTL: '300',
        ResourceRecords: [{ 'Fn::GetAtt': ['Address', 'PublicIp'] }],
      }),
    },
  }
}

function mail(plan: CloudPlan) {
  const S3Action = { BucketName: plan.bucket, ObjectKeyPrefix: 'inbound/' }
  const Rule = {
    ...{ Name: RULE, Enabled: true, ScanEnabled: true, TlsPolicy: 'Require' },
    Recipients: [plan.mailDomain],
    Actions: [{ S3Action }],
  }
  const expiry = { Id: 'inbound', Status: 'Enabled', Prefix: 'inbound/', ExpirationInDays: 30 }
  const blocked = {
    ...{ BlockPublicAcls: true, BlockPublicPolicy: true },
    ...{ IgnorePublicAcls: true, RestrictPublicBuckets: true },
  }
  return {
    Bucket: {
      ...resource('S3::Bucket', {
        BucketName: plan.bucket,
        PublicAccessBlockConfiguration: blocked,
        LifecycleConfiguration: { Rules: [expiry] },
      }),
      DeletionPolicy: 'Retain',
    },
    BucketPolicy: {
      ...resource('S3::BucketPolicy', { Bucket: { Ref: 'Bucket' }, PolicyDocument: bucketPolicy(plan) }),
      DependsOn: 'DataRole',
    },
    MailIdentity: resource('SES::EmailIdentity', {
      EmailIdentity: plan.mailDomain,
      DkimSigningAttributes: { NextSigningKeyLength: 'RSA_2048_BIT' },
    }),
    RuleSet: resource('SES::ReceiptRuleSet', { RuleSetName: RULE_SET }),
    InboundRule: {
      ...resource('SES::ReceiptRule', { RuleSetName: { Ref: 'RuleSet' }, Rule }),
      DependsOn: 'BucketPolicy',
    },
  }
}

function role(RoleName: string, AssumeRolePolicyDocument: object, PolicyDocument: object) {
  const Policies = [{ PolicyName: 'agentkeys', PolicyDocument }]
  return resource('IAM::Role', { RoleName, MaxSessionDuration: 3600, AssumeRolePolicyDocument, Policies })
}

function resource(type: string, Properties: object) {
  return { Type: `AWS::${type}`, Properties }
}
