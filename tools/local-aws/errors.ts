// What STS says when it says no: the wire codes with their HTTP statuses. AWS STS API reference, "Errors" of each action
// and "Common Errors".

export const STATUS = {
  AccessDenied: 403,
  ExpiredToken: 403,
  ExpiredTokenException: 400,
  IDPCommunicationError: 400,
  IDPRejectedClaim: 403,
  IncompleteSignature: 400,
  InternalFailure: 500,
  InvalidAction: 400,
  InvalidClientTokenId: 403,
  InvalidIdentityToken: 400,
  InvalidParameterValue: 400,
  MalformedPolicyDocument: 400,
  MissingAuthenticationToken: 403,
  PackedPolicyTooLarge: 400,
  RegionDisabledException: 403,
  RequestEntityTooLarge: 413,
  ServiceUnavailable: 503,
  SignatureDoesNotMatch: 403,
  Throttling: 400,
  ValidationError: 400,
} as const satisfies Record<string, number>

export type StsErrorCode = keyof typeof STATUS

/** A refusal as STS words it. The message never holds a token, a key or a signature. */
export class StsError extends Error {
  constructor(
    readonly code: StsErrorCode,
    message: string,
  ) {
    super(message)
    this.name = 'StsError'
  }

  get status(): number {
    return STATUS[this.code]
  }
}

/** The one InvalidIdentityToken a caller may retry: the issuer could not be asked for its keys. */
export const KEY_RETRIEVAL_MESSAGE =
  "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements"

/** A token that is no good. */
export function invalidToken(message: string): StsError {
  return new StsError('InvalidIdentityToken', message)
}
