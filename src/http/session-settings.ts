/** What the session backend's routes are set to. A class, so that Nest can hand it out. */
export abstract class SessionSettings {
  /** Of the addresses that wallets are given. */
  abstract readonly mailDomain: string
}
