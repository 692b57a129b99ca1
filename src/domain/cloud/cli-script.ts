// The plan as a shell script of the AWS CLI. It can be run again: what is there is left or updated.

import {
  bucketPolicy,
  type CloudPlan,
  dataRolePolicy,
  dataRoleTrust,
  type Document,
  HOST_ROLE,
  hostPolicy,
  hostTrust,
  providerArn,
  roleArn,
  ROUTER_ROLE,
  routerPolicy,
  routerTrust,
  RULE,
  RULE_SET,
} from './plan.js'

export function cliScript(plan: CloudPlan): string {
  return [
    `#!/usr/bin/env bash
# Sets AWS up for the AgentKeys Broker at ${plan.issuer}. Needs an administrator's credentials, and HOSTED_ZONE_ID.
set -euo pipefail
: "\${HOSTED_ZONE_ID:?set it to the Route 53 zone of the issuer}"
export AWS_REGION=${plan.region} AWS_DEFAULT_REGION=${plan.region}
files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT`,
    provider(plan),
    ROLE_FUNCTION,
    role(plan.dataRole, { trust: dataRoleTrust(plan), policy: dataRolePolicy(plan) }),
    stripStep(plan),
    role(HOST_ROLE, { trust: hostTrust(), policy: hostPolicy(plan) }),
    role(ROUTER_ROLE, { trust: routerTrust(plan), policy: routerPolicy(plan) }),
    `aws iam get-instance-profile --instance-profile-name ${HOST_ROLE} >/dev/null 2>&1 || {
  aws iam create-instance-profile --instance-profile-name ${HOST_ROLE}
  aws iam add-role-to-instance-profile --instance-profile-name ${HOST_ROLE} --role-name ${HOST_ROLE}
}`,
    bucket(plan),
    mail(plan),
    address(plan),
    collect(plan),
  ].join('\n\n')
}

function provider(plan: CloudPlan): string {
  const arn = providerArn(plan)
  return `# 1. The OIDC provider. One for the same host with other client ids is stale: it is shown, and to be deleted by hand.
if ids=$(aws iam get-open-id-connect-provider --open-id-connect-provider-arn ${arn} \\
  --query 'join(\`,\`, ClientIDList)' --output text 2>/dev/null); then
  if [ "$ids" != sts.amazonaws.com ]; then
    echo "stale provider ${arn} (client ids: $ids). Delete it, then run this again:" >&2
    echo "  aws iam delete-open-id-connect-provider --open-id-connect-provider-arn ${arn}" >&2
    exit 1
  fi
else
  aws iam create-open-id-connect-provider --url ${plan.issuer} --client-id-list sts.amazonaws.com
fi`
}

const ROLE_FUNCTION = `# 2. Roles: created, or given the trust policy of this script.
role() {
  aws iam create-role --role-name "$1" --max-session-duration 3600 \\
    --assume-role-policy-document "file://$files/$1.trust.json" >/dev/null 2>&1 ||
    aws iam update-assume-role-policy --role-name "$1" --policy-document "file://$files/$1.trust.json"
  aws iam put-role-policy --role-name "$1" --policy-name agentkeys --policy-document "file://$files/$1.policy.json"
}`

function role(name: string, { trust, policy }: { trust: Document; policy: Document }): string {
  return [file(`${name}.trust.json`, trust), file(`${name}.policy.json`, policy), `role ${name}`].join('\n')
}

function stripStep({ dataRole }: CloudPlan): string {
  return `# 3. The strip step: any other policy of the data role may allow S3, and would undo the isolation.
for name in $(aws iam list-role-policies --role-name ${dataRole} --query 'PolicyNames[]' --output text); do
  [ "$name" = agentkeys ] || aws iam delete-role-policy --role-name ${dataRole} --policy-name "$name"
done
for arn in $(aws iam list-attached-role-policies --role-name ${dataRole} \\
  --query 'AttachedPolicies[].PolicyArn' --output text); do
  aws iam detach-role-policy --role-name ${dataRole} --policy-arn "$arn"
done`
}

function bucket(plan: CloudPlan): string {
  const place =
    plan.region === 'us-east-1'
      ? ''
      : ` \\\n  --create-bucket-configuration LocationConstraint=${plan.region}`
  const blocked =
    'BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true'
  const expiry = {
    Rules: [{ ID: 'inbound', Status: 'Enabled', Filter: { Prefix: 'inbound/' }, Expiration: { Days: 30 } }],
  }
  return `# 4. The bucket.
aws s3api head-bucket --bucket ${plan.bucket} 2>/dev/null || aws s3api create-bucket --bucket ${plan.bucket}${place}
${file('bucket.json', bucketPolicy(plan))}
aws s3api put-bucket-policy --bucket ${plan.bucket} --policy "file://$files/bucket.json"
aws s3api put-public-access-block --bucket ${plan.bucket} \\
  --public-access-block-configuration ${blocked}
aws s3api put-bucket-lifecycle-configuration --bucket ${plan.bucket} \\
  --lifecycle-configuration '${JSON.stringify(expiry)}'`
}

function mail({ mailDomain, bucket: name }: CloudPlan): string {
  const rule = {
    ...{ Name: RULE, Enabled: true, ScanEnabled: true, TlsPolicy: 'Require' },
    Recipients: [mailDomain],
    Actions: [{ S3Action: { BucketName: name, ObjectKeyPrefix: 'inbound/' } }],
  }
  return `# 5. Mail: the domain's identity, and a rule that puts what arrives into inbound/.
aws sesv2 get-email-identity --email-identity ${mailDomain} >/dev/null 2>&1 ||
  aws sesv2 create-email-identity --email-identity ${mailDomain} \\
    --dkim-signing-attributes NextSigningKeyLength=RSA_2048_BIT
aws ses describe-receipt-rule-set --rule-set-name ${RULE_SET} >/dev/null 2>&1 ||
  aws ses create-receipt-rule-set --rule-set-name ${RULE_SET}
aws ses describe-receipt-rule --rule-set-name ${RULE_SET} --rule-name ${RULE} >/dev/null 2>&1 ||
  aws ses create-receipt-rule --rule-set-name ${RULE_SET} --rule '${JSON.stringify(rule)}'
aws ses set-active-receipt-rule-set --rule-set-name ${RULE_SET}`
}

function address({ issuer }: CloudPlan): string {
  const { hostname } = new URL(issuer)
  const tags = 'ResourceType=elastic-ip,Tags=[{Key=Name,Value=agentkeys-broker}]'
  const change = `{"Changes":[{"Action":"UPSERT","ResourceRecordSet":{"Name":"${hostname}","Type":"A","TTL":300,"ResourceRecords":[{"Value":"'"$ip"'"}]}}]}`
  return `# 6. The address of the broker's host, and its name. Associate it with the instance yourself.
ip=$(aws ec2 describe-addresses --filters Name=tag:Name,Values=agentkeys-broker \\
  --query 'Addresses[0].PublicIp' --output text)
[ "$ip" != None ] || ip=$(aws ec2 allocate-address --domain vpc --query PublicIp --output text \\
  --tag-specifications '${tags}')
aws route53 change-resource-record-sets --hosted-zone-id "$HOSTED_ZONE_ID" \\
  --change-batch '${change}'`
}

function collect(plan: CloudPlan): string {
  const fixed = { issuer: plan.issuer, roleArn: roleArn(plan, plan.dataRole), bucket: plan.bucket }
  return `# 7. What is in force now, for: agentkeys-broker cloud-setup --check deployed.json
for name in $(aws iam list-role-policies --role-name ${plan.dataRole} --query 'PolicyNames[]' --output text); do
  aws iam get-role-policy --role-name ${plan.dataRole} --policy-name "$name" --query PolicyDocument --output json
done >"$files/role-policies.json"
aws iam get-role --role-name ${plan.dataRole} --query Role.AssumeRolePolicyDocument --output json >"$files/trust.json"
aws s3api get-bucket-policy --bucket ${plan.bucket} --query Policy --output text >"$files/bucket-policy.json"
jq -n --slurpfile roles "$files/role-policies.json" --slurpfile trust "$files/trust.json" \\
  --slurpfile bucket "$files/bucket-policy.json" \\
  '${JSON.stringify(fixed)} + {trust: $trust[0], rolePolicies: $roles, bucketPolicy: $bucket[0]}' >deployed.json`
}

function file(name: string, document: Document): string {
  return `cat >"$files/${name}" <<'EOF'\n${JSON.stringify(document, null, 2)}\nEOF`
}
