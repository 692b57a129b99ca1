// The routes of the signing keys, for the operator.

import type { ErrorReason } from '../../domain/errors.js'
import type { Operation } from './document.js'

/** `operator`: why a bearer is refused; `ledger`: why an append is. */
export function keyOperations(
  operator: readonly ErrorReason[],
  ledger: readonly ErrorReason[],
): Record<string, Operation<ErrorReason>> {
  return {
    'get /v1/keys': {
      id: 'listKeys',
      tag: 'keys',
      summary: 'The keys that sign tokens, and what comes next for each',
      bearer: true,
      replies: { 200: 'SigningKeys' },
      errors: operator,
    },
    'post /v1/keys/rotate': {
      id: 'rotateKeys',
      tag: 'keys',
      summary: 'Sign with the next key, publish another one, retire the last',
      bearer: true,
      body: 'Rotation',
      replies: { 200: 'ChangedKeys' },
      errors: [...operator, 'key-not-ready', ...ledger],
    },
    'post /v1/keys/retire': {
      id: 'retireKey',
      tag: 'keys',
      summary: 'End a key that does not sign',
      bearer: true,
      body: 'KeyToRetire',
      replies: { 200: 'ChangedKeys' },
      errors: [...operator, 'no-such-key', 'key-not-ready', ...ledger],
    },
    'post /v1/keys/revoke': {
      id: 'revokeKey',
      tag: 'keys',
      summary: 'Take a stolen key out of use and out of the JWKS; the next one signs from the same append on',
      bearer: true,
      body: 'KeyToRevoke',
      replies: { 200: 'ChangedKeys' },
      errors: [...operator, 'no-such-key', 'key-not-ready', ...ledger],
    },
  }
}
