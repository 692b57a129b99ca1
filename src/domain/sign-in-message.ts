// The text that a wallet signs to get a session: EIP-4361, built and never parsed. What comes back is a signature over
// these very bytes, so there is no second reading of them that could differ.

export interface SignIn {
  /** Host and port of the configured origin, never those of a request. */
  domain: string
  /** The configured origin. */
  uri: string
  /** EIP-55 form: wallets show and sign it so. */
  address: string
  chainId: number
  /** At least 8 letters and digits, of one use. */
  nonce: string
  issuedAt: Date
  expiresAt: Date
}

const STATEMENT = 'Sign in to AgentKeys. This starts a session; it moves no funds.'
const RESOURCE = 'urn:agentkeys:client:agentkeys'

/** EIP-4361, "ABNF Message Format". No line feed at the end. */
export function signInMessage({ domain, uri, address, chainId, nonce, issuedAt, expiresAt }: SignIn): string {
  return [
    `${domain} wants you to sign in with your Ethereum account:`,
    address,
    '',
    STATEMENT,
    '',
    `URI: ${uri}`,
    'Version: 1',
    `Chain ID: ${chainId}`,
    `Nonce: ${nonce}`,
    `Issued At: ${issuedAt.toISOString()}`,
    `Expiration Time: ${expiresAt.toISOString()}`,
    'Resources:',
    `- ${RESOURCE}`,
  ].join('\n')
}
