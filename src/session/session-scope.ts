/** A valid caller asked for what is not theirs, or for what is not there. */
export class SessionRefusal extends Error {
  constructor(
    readonly code: 'denied' | 'not-found',
    message: string,
  ) {
    super(message)
    this.name = 'SessionRefusal'
  }
}
