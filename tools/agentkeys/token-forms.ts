// A JWT in the forms that relying parties' tools read from a program.

import type { MintedJwt } from '../client/replies.js'

import { UsageError } from './command.js'

const FORMATS = ['raw', 'json', 'gcp-executable', 'k8s-exec'] as const
export type TokenFormat = (typeof FORMATS)[number]

export function parseFormat(value: unknown): TokenFormat {
  const format = FORMATS.find((one) => one === value)
  if (format) return format
  throw new UsageError(`--format: one of ${FORMATS.join(', ')}`)
}

/** Raw has no line feed at its end: some readers take the file as it is. */
export function formatToken({ jwt, jti, wallet, expiresAt }: MintedJwt, format: TokenFormat): string {
  switch (format) {
    case 'raw':
      return jwt
    case 'json':
      return `${JSON.stringify({ jwt, jti, wallet, expires_at: expiresAt.toISOString() })}\n`
    case 'gcp-executable':
      // Google Cloud, "Executable-sourced credentials": the response format.
      return `${JSON.stringify({
        version: 1,
        success: true,
        token_type: 'urn:ietf:params:oauth:token-type:id_token',
        id_token: jwt,
        expiration_time: Math.floor(expiresAt.getTime() / 1000),
      })}\n`
    case 'k8s-exec':
      // client.authentication.k8s.io/v1, ExecCredential.
      return `${JSON.stringify({
        apiVersion: 'client.authentication.k8s.io/v1',
        kind: 'ExecCredential',
        status: { token: jwt, expirationTimestamp: expiresAt.toISOString().replace('.000Z', 'Z') },
      })}\n`
  }
}
