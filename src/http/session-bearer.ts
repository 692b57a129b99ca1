import { SessionError } from '../session/session-backend.js'

/** `Bearer`, one space, and the token as it stands: any other scheme or spelling is the same as no header. */
export function sessionBearer(authorization: string | undefined): string {
  if (!authorization?.startsWith('Bearer '))
    throw new SessionError('unauthorized', 'missing Authorization header')
  return authorization.slice('Bearer '.length)
}
