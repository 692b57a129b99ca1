// The account to develop against: what the operator's guide sets up at AWS, with the names it uses.

import type { AccountConfig } from './account.js'

const ACCOUNT_ID = '111122223333'
export const DATA_ROLE_ARN = `arn:aws:iam::${ACCOUNT_ID}:role/agentkeys-data-role`
export const USER_ARN = `arn:aws:iam::${ACCOUNT_ID}:user/agentkeys-daemon`
const AUDIENCE = 'sts.amazonaws.com'
const WALLET_TAG = 'agentkeys_user_wallet'

/** The example key of AWS's own documentation: good for nothing anywhere else, and known to every secret scanner. */
export const USER_KEY = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
} as const

/** One provider, one data role that trusts it and the static user, and that user. */
export function defaultAccount(issuer: string): AccountConfig {
  const { Version, Statement } = federatedTrustPolicy(issuer)
  // Member by member: the AWS SDK writes into the credentials it is given.
  const { accessKeyId, secretAccessKey } = USER_KEY
  return {
    providers: [{ account: ACCOUNT_ID, url: issuer, clientIds: [AUDIENCE] }],
    roles: [{ arn: DATA_ROLE_ARN, trustPolicy: { Version, Statement: [...Statement, staticStatement()] } }],
    users: [{ arn: USER_ARN, accessKeyId, secretAccessKey }],
  }
}

/**
 * The trust policy of the federated case. A token without tags needs no sts:TagSession, so the tag's presence is asked
 * for where the role is assumed too. sts:RoleAuthorizedByIdp exists for AssumeRoleWithWebIdentity only, so the tags have
 * a statement of their own. The session name is the token holder's to choose: it is not asked for, source identity is
 * what names the wallet.
 */
export function federatedTrustPolicy(issuer: string) {
  const name = issuer.replace(/^https?:\/\//, '')
  const Principal = { Federated: `arn:aws:iam::${ACCOUNT_ID}:oidc-provider/${name}` }
  const fromTheBroker = {
    StringEquals: { [`${name}:aud`]: AUDIENCE },
    StringLike: { [`${name}:sub`]: 'agentkeys:agent:0x*' },
    Null: { [`aws:RequestTag/${WALLET_TAG}`]: 'false' },
  }
  return {
    Version: '2012-10-17',
    Statement: [
      {
        Sid: 'AgentsOfTheBroker',
        Effect: 'Allow',
        Principal,
        Action: 'sts:AssumeRoleWithWebIdentity',
        Condition: { ...fromTheBroker, Bool: { 'sts:RoleAuthorizedByIdp': 'true' } },
      },
      {
        Sid: 'TaggedWithTheirWallet',
        Effect: 'Allow',
        Principal,
        Action: ['sts:TagSession', 'sts:SetSourceIdentity'],
        Condition: {
          ...fromTheBroker,
          'ForAllValues:StringEquals': { 'aws:TagKeys': [WALLET_TAG], 'sts:TransitiveTagKeys': [WALLET_TAG] },
        },
      },
    ],
  }
}

function staticStatement() {
  return {
    Sid: 'TheBrokerWithAStaticKey',
    Effect: 'Allow',
    Principal: { AWS: USER_ARN },
    Action: ['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity'],
    Condition: { Null: { [`aws:RequestTag/${WALLET_TAG}`]: 'false' } },
  }
}
