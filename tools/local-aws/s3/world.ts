// What every operation works on, and what it answers with.

import type { Content } from '../xml.js'
import type { Access, Asker } from './access.js'
import type { S3Request } from './request.js'
import type { Buckets } from './store.js'

export interface S3World {
  access: Access
  buckets: Buckets
  now: () => Date
}

/** A request whose signature and payload hold. */
export interface S3Call {
  asker: Asker
  request: S3Request
  /** The body, out of its transfer form. */
  payload: Buffer
}

export interface S3Answer {
  /** Default 200. */
  status?: number
  headers?: Record<string, string>
  body?: Buffer | { root: string; content: Content }
}

export type S3Operation = (world: S3World, call: S3Call) => S3Answer

export function keyOf({ request }: S3Call): string {
  return request.key ?? ''
}
