/** sysexits.h: 78, the configuration is at fault, so that a restart is of no use; 75, a later try may succeed. */
export const SECRET_EXIT = { permanent: 78, passing: 75 } as const

/** A secret cannot be had. The message names what is wrong and what to do, and nothing of the value. */
export class SecretError extends Error {
  constructor(
    readonly kind: keyof typeof SECRET_EXIT,
    message: string,
  ) {
    super(message)
    this.name = 'SecretError'
  }
}
