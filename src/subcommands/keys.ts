// agentkeys-broker keys: asks the running broker, which holds the ledger and the keys, with the operator's token.

import type { Config } from '../config.js'
import { denyPolicy } from '../domain/aws-deny.js'
import type { KeysLine } from '../start/keys-line.js'
import { askBroker } from './ask-broker.js'
import type { Outcome } from './outcome.js'

interface ListedKey {
  kid: string
  alg: string
  state: string
  since: string
  signer: string | null
  then: string
  then_at: string | null
}

interface Keys {
  keys: ListedKey[]
  publish_ahead_seconds: number
}

interface Changed {
  active: string | null
  next: string | null
  at: string
  ledger: { index: number }
}

export function keys(line: KeysLine, config: Config): Promise<Outcome> {
  const name = `keys ${line.verb}`
  const path = `/v1/keys/${line.verb}`
  switch (line.verb) {
    case 'list':
      return askBroker<Keys>(config, { name, path: '/v1/keys' }, (answer) =>
        line.json ? JSON.stringify(answer, null, 2) : table(answer),
      )
    case 'rotate':
      return askBroker<Changed>(config, { name, path, body: { emergency: line.emergency } }, rotated)
    case 'retire':
      return askBroker<Changed>(
        config,
        { name, path, body: { kid: line.kid } },
        (answer) =>
          `${line.kid} is retired by the entries up to ${answer.ledger.index}, ${answer.at}.\n${now(answer)}`,
      )
    case 'revoke': {
      const { kid, reason, emergency } = line
      return askBroker<Changed>(config, { name, path, body: { kid, reason, emergency } }, (answer) =>
        revoked(kid, answer, config),
      )
    }
  }
}

function table({ keys: listed, publish_ahead_seconds: seconds }: Keys): string {
  const rows = [
    ['KID', 'ALG', 'STATE', 'SINCE', 'SIGNER', 'WHAT COMES NEXT'],
    ...listed.map(({ kid, alg, state, since, signer, then, then_at }) => {
      const next = then_at === null ? then : `${then}, from ${then_at} on`
      return [kid, alg, state, since, signer ?? 'not at this broker', next]
    }),
  ]
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  )
  return [
    ...lines,
    '',
    `A key is published ${seconds / 3600} h before it signs (BROKER_JWKS_CACHE_SECONDS).`,
  ].join('\n')
}

function rotated(answer: Changed): string {
  return `Rotated by the entries up to ${answer.ledger.index}, ${answer.at}.\n${now(answer)}`
}

function now({ active, next }: Changed): string {
  return [
    active === null ? 'No key is active: nothing is minted.' : `Tokens are signed with ${active}.`,
    next === null
      ? 'No key is published to be the next: restart the broker, whose key folder must be writable.'
      : `Next is ${next}: brokers with key files of their own need a copy of its file before the next rotation.`,
  ].join('\n')
}

function revoked(kid: string, answer: Changed, { policy: { dataRoleArn } }: Config): string {
  return [
    `${kid} is revoked by the entries up to ${answer.ledger.index}, ${answer.at}: it is not in the JWKS any more.`,
    now(answer),
    '',
    'What is left to do:',
    '1. AWS and other relying parties go on to accept the stolen key for as long as they keep their copy of the JWKS. AWS does',
    '   not say how long that is, and cannot be made to forget it. Until a token of the revoked key is refused there, close the',
    '   trust policy of each role (Deny sts:AssumeRoleWithWebIdentity), or delete the IAM OIDC provider and make it again later.',
    "2. AWS sessions that were opened with the thief's tokens go on until they expire. Put this policy on each role they are of",
    `   (${dataRoleArn ?? 'this broker has no data role'}):`,
    JSON.stringify(denyPolicy({ kind: 'role', target: dataRoleArn ?? '' }, answer.at), null, 2),
    '   The time in it has to be the one at which step 1 took hold.',
    '3. Relying parties that pin a JWKS, and have no discovery, need the new one: /.well-known/jwks.json.',
    '4. Was the whole disk read? Then the next key, whose file lay beside the stolen one, is stolen too: look at "keys list", and',
    '   revoke the key that signs now, once the one behind it has been published for as long as relying parties keep a JWKS.',
  ].join('\n')
}
