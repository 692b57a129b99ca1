/** The identity a session belongs to, in its only form: `0x` and 40 lower-case hex digits. */
export type Wallet = string & { readonly __brand: 'Wallet' }

/**
 * The only way to a Wallet. EIP-55 spells one address in many mixed cases, so it is lower-cased here, once, before
 * anything compares, signs or records it. The test comes first and is ASCII only: no other alphabet's digits, no
 * character whose lower case happens to be a hex digit, no space or newline at either end becomes a second spelling.
 */
export function parseWallet(text: unknown): Wallet | undefined {
  if (typeof text !== 'string' || !/^0x[0-9a-fA-F]{40}$/.test(text)) return undefined
  return text.toLowerCase() as Wallet
}
