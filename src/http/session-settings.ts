import type { FileToken } from '../storage/token-file.js'

/** What the session backend's routes are set to. A class, so that Nest can hand it out. */
export abstract class SessionSettings {
  /** Of the addresses that wallets are given. */
  abstract readonly mailDomain: string
  /** The origin that wallets sign for; undefined: where it listens. Never what a Host header says. */
  abstract readonly sessionUrl: string | undefined
  /** What the mail router presents; undefined: there is none. */
  abstract readonly mailRouterToken: FileToken | undefined
  /** Others than the callers of this machine can reach it: wallet login is the only way in. */
  abstract readonly exposed: boolean
}
