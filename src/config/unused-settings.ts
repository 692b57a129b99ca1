// Settings of others that an operator may take for the broker's: they are warned of, since they have no effect here.

import type { Variables } from './environment.js'

const PROXIES = ['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY']
const ENDPOINT_KINDS = ['AWS_USE_FIPS_ENDPOINT', 'AWS_USE_DUALSTACK_ENDPOINT']

/** Values are not shown: a proxy's URL often holds a password. */
export function unusedSettings(variables: Variables): string[] {
  return Object.entries(variables).flatMap(([name, value]) => {
    if (!value) return []
    if (PROXIES.includes(name.toUpperCase()))
      return [
        `${name} is not used: connections to STS, the session backend and witnesses are direct; let the network allow them`,
      ]
    if (ENDPOINT_KINDS.includes(name) && value.toLowerCase() === 'true')
      return [`${name} is not used: set AWS_ENDPOINT_URL_STS to the STS endpoint that is meant`]
    if (name === 'NODE_TLS_REJECT_UNAUTHORIZED' && value === '0')
      return [`${name}=0: no certificate is checked, so anyone on the way can take tokens; unset it`]
    return []
  })
}
