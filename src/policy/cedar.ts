// The library, which is WebAssembly: loaded by those that decide by a policy, and by no other broker.

import type * as cedar from '@cedar-policy/cedar-wasm/nodejs'

export type Cedar = typeof cedar

export function loadCedar(): Promise<Cedar> {
  return import('@cedar-policy/cedar-wasm/nodejs')
}
