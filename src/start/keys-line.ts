// agentkeys-broker keys …: its part of the command line.

export type KeysLine =
  | { verb: 'list'; json: boolean }
  | { verb: 'rotate'; emergency: boolean }
  | { verb: 'retire'; kid: string }
  | { verb: 'revoke'; kid: string; reason: string | undefined; emergency: boolean }

export const KEYS_USAGE =
  'agentkeys-broker keys list [--json] | rotate [--emergency] | retire KID | revoke KID [--reason TEXT] [--emergency]'

export class WrongKeysLine extends Error {}

interface KeysValues {
  json?: boolean | undefined
  emergency?: boolean | undefined
  reason?: string | undefined
}

export function parseKeysLine(rest: readonly string[], values: KeysValues): KeysLine {
  const [verb, kid, ...more] = rest
  const { json = false, emergency = false, reason } = values
  if (more.length > 0) throw wrong()
  switch (verb) {
    case 'list':
      if (kid !== undefined || emergency || reason !== undefined) throw wrong()
      return { verb, json }
    case 'rotate':
      if (kid !== undefined || json || reason !== undefined) throw wrong()
      return { verb, emergency }
    case 'retire':
      if (kid === undefined || json || emergency || reason !== undefined) throw wrong()
      return { verb, kid }
    case 'revoke':
      if (kid === undefined || json) throw wrong()
      return { verb, kid, reason, emergency }
    default:
      throw wrong()
  }
}

function wrong(): WrongKeysLine {
  return new WrongKeysLine(`expected ${KEYS_USAGE.replace('agentkeys-broker ', '')}`)
}
