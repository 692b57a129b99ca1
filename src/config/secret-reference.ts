// A secret variable that names where its value is kept, instead of holding it.

import type { Variables } from './environment.js'
import { SECRET_VARIABLES } from './variables.js'

/** Those whose whole value may be a reference: the secrets, and URLs that hold a password. */
const REFERRING = [...SECRET_VARIABLES, 'BROKER_LEDGER_URL', 'BROKER_LEDGER_ADMIN_URL']

const REFERENCE = /^(?:op:\/\/|file:|cred:)/

/** The references by the name of their variable. */
export function secretReferences(variables: Variables): Map<string, string> {
  const found = REFERRING.flatMap((name) => {
    const text = variables[name]
    return text !== undefined && REFERENCE.test(text) ? [[name, text] as const] : []
  })
  return new Map(found)
}
