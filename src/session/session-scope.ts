/** What a child session is for. It is never wider than its parent's. */
export interface Scope {
  services: string[]
  readOnly: boolean
}

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
