// agentkeys-broker/client: mint credentials from a program, with receipts verified. No Nest and no native module.

export { fromAgentKeys, type AwsCredentialIdentity } from './aws-provider.js'
export {
  BrokerClient,
  type BrokerClientOptions,
  type CredentialsAsk,
  type JwtAsk,
  type ReceiptMode,
} from './broker-client.js'
export { ClientError, type ClientErrorCode } from './errors.js'
export type { LedgerReference } from './receipts.js'
export type { MintedCredentials, MintedJwt } from './replies.js'
