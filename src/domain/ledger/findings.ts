// What an auditor gets: which entry, what is wrong with it, and what to do next. docs/auditor.md lists the kinds.

import type { EntryProblem } from './entry.js'

export type FindingKind =
  EntryProblem | ChainProblem | StoreProblem | HeadProblem | LogProblem | MeaningProblem

/** An entry does not follow from the one before. */
export type ChainProblem = 'wrong-index' | 'broken-link' | 'time-backwards' | 'from-the-future'

/** The store hides entries from readers, or holds some that no broker wrote. */
export type StoreProblem = 'entries-hidden' | 'unsigned-entries'

/** The ledger is not the one the reader remembers. */
export type HeadProblem = 'cut-off' | 'other-head'

/** What the log serves, or signed, is not what its entries make. */
export type LogProblem =
  | 'wrong-origin'
  | 'wrong-vkey'
  | 'not-signed'
  | 'bad-signature'
  | 'quorum-missing'
  | 'wrong-root'
  | 'wrong-tile'
  | 'wrong-bundle'
  | 'missing-tile'
  | 'log-shrunk'
  | 'log-forked'

/** The entries are chained, but what they say cannot have happened, or was not allowed to. */
export type MeaningProblem =
  | 'not-opened'
  | 'opened-again'
  | 'unknown-type'
  | 'unknown-value'
  | 'wrong-shape'
  | 'mint-id-repeated'
  | 'mint-id-out-of-order'
  | 'mint-id-wrong-time'
  | 'no-session'
  | 'no-request'
  | 'mint-out-of-turn'
  | 'outside-scope'
  | 'after-cut-off'
  | 'policy-not-loaded'
  | 'against-policy'
  | 'too-many-policies'
  | 'wrong-wallet'
  | 'wrong-role'
  | 'wrong-subject'
  | 'wrong-issue-time'
  | 'wrong-audience'
  | 'wrong-session-name'
  | 'wrong-assumed-role'
  | 'wrong-duration'
  | 'wrong-expiry'
  | 'wrong-reason'
  | 'access-key-repeated'
  | 'signing-input-repeated'
  | 'ttl-out-of-bounds'
  | 'key-unpublished'
  | 'key-not-active'
  | 'key-out-of-turn'
  | 'key-reused'
  | 'key-not-signed'
  | 'too-many-keys'
  | 'too-many-cut-offs'
  | 'grant-unknown'
  | 'grant-expired'
  | 'grant-used-up'
  | 'grant-out-of-turn'
  | 'outside-grant'
  | 'too-many-grants'
  | 'approval-unusable'
  | 'approval-out-of-turn'
  | 'outside-approval'
  | 'too-many-approvals'
  | 'span-backwards'
  | 'wrong-span'

export interface Finding {
  /** The entry's own index; for an entry that cannot be read or has the wrong index, the index that was due. */
  index: number
  kind: FindingKind
  /** What is wrong, never the value itself: what an unknown writer put into a ledger may be a secret. */
  detail: string
  advice: string
}

const MAX_DETAIL = 300

export function finding(index: number, kind: FindingKind, detail: string): Finding {
  return { index, kind, detail: detail.slice(0, MAX_DETAIL), advice: ADVICE[kind] }
}

/** The first findings, and how many there are of each kind. Bounded, however bad the ledger. */
export class Findings {
  readonly kept: Finding[] = []
  readonly byKind: Partial<Record<FindingKind, number>> = {}
  count = 0

  /** `limit` findings are kept, and of each kind the first few, so that a flood of one kind hides no other. */
  constructor(private readonly limit = 1_000) {}

  add(finding: Finding): void {
    const ofKind = (this.byKind[finding.kind] ?? 0) + 1
    this.byKind[finding.kind] = ofKind
    this.count += 1
    if (this.kept.length < this.limit || ofKind <= KEPT_OF_EACH_KIND) this.kept.push(finding)
  }
}

const KEPT_OF_EACH_KIND = 10

const REWRITTEN =
  'Treat the ledger as altered here: keep the file as evidence and compare this entry and the one before with an older copy, an export or a receipt.'
const ASK_THE_BROKER =
  'The chain vouches that a broker with write access put this here: look up the mint in CloudTrail and in the broker log, and ask the operator which program wrote it.'
const WHOSE_KEY =
  'Ask the operator for the vkey over a channel you trust, and compare. If the key is right, someone else answers for this log: keep the checkpoint and believe none of it.'
const TILES =
  'Fetch the tile again, past any cache. If it stays as it is, the log serves hashes that are not those of its entries: no proof made from its tiles holds, and the operator must rebuild them.'
const EQUIVOCATION =
  'Two signed checkpoints of one key contradict each other, which no honest log can explain. Keep both (see evidence), show them to the operator, the witnesses and other auditors, and trust nothing after the older one.'
const NEWER =
  'Written by a newer broker than this verifier knows: use a verify-ledger as new as the broker. If it is, the entry was not written by a broker.'
const MINTED_OTHERWISE =
  'What was minted is not what was announced: look up the access key and the role session in CloudTrail, and take the credentials for stolen until explained.'
const UNGRANTED =
  'The mint names a grant that did not allow it: look up in CloudTrail what the credential was used for, and ask the operator which program wrote the entry.'
const UNAPPROVED =
  'The mint names an approval that did not allow it: look up in CloudTrail what the credential was used for, and ask the operator which program wrote the entry.'
const KEYS =
  'Take every JWT of this kid for suspect: compare the key with the JWKS served at the time, and revoke it if the entry cannot be explained.'

const ADVICE = {
  malformed: REWRITTEN,
  'not-canonical': REWRITTEN,
  'too-large': REWRITTEN,
  'wrong-index':
    'Entries were removed, inserted or moved here: fetch the indexes around this one from an older copy, an export or a mirror and compare.',
  'broken-link': REWRITTEN,
  'time-backwards':
    'Compare the time with the entries around it and with CloudTrail; a broker never writes an earlier time than the last.',
  'from-the-future':
    "Check this machine's clock first. If it is right, the clock of the broker was wrong, or another program wrote the entry: ask the operator, and take tokens that were issued since for good until the time they name.",
  'entries-hidden':
    'Someone with rights over the stream truncated or deleted it, or set it to be, which no broker does. Until a scavenge the entries are still there: stop that first, then ask the operator who wrote to the metadata of the stream, and compare with a mirror.',
  'unsigned-entries':
    'No holder of the ledger key vouches for these entries: any program that may write to the store may have put them there. Stop all brokers, find out which program wrote them, and restore the store from a copy without them. A ledger from before appends were signed is taken over once, by agentkeys-broker adopt-ledger.',
  'cut-off':
    'The end of the ledger is gone. Stop the broker before it chains on, and restore the missing entries from a backup, an export or a mirror.',
  'other-head':
    'The history behind the remembered head was rewritten. Keep both versions; receipts and witnessed checkpoints tell which one is true.',
  'wrong-origin': WHOSE_KEY,
  'wrong-vkey': WHOSE_KEY,
  'not-signed': WHOSE_KEY,
  'bad-signature': WHOSE_KEY,
  'quorum-missing':
    'Too few witnesses have seen this checkpoint, so the log may show others another one. Ask again in a minute; if it stays so, ask the witnesses for the log by its origin.',
  'wrong-root':
    'The log signed a tree that is not that of the entries it serves. Keep both; ask the operator for the entries from a backup or a mirror, and verify those against the same checkpoint.',
  'wrong-tile': TILES,
  'wrong-bundle': TILES,
  'missing-tile':
    'The log signed for entries it does not serve, and those behind them were not read. Ask again; then ask the operator for this file from a backup or a mirror.',
  'log-shrunk':
    'This is older than what you have seen: a stale mirror, or a roll-back. Ask the log itself, at its own address; if it too has fewer entries, keep both checkpoints (see evidence) and show them to the operator and the witnesses.',
  'log-forked': EQUIVOCATION,
  'not-opened': 'This is no ledger from its beginning: ask the operator for the entries from index 0 on.',
  'opened-again':
    'Two ledgers were joined, or one was started over: ask the operator for both, each from its own index 0.',
  'unknown-type': NEWER,
  'unknown-value': NEWER,
  'wrong-shape': ASK_THE_BROKER,
  'mint-id-repeated':
    'One of the two mints may hide the other: look up both in CloudTrail by their time and wallet.',
  'mint-id-out-of-order':
    'This mint is older than ids no longer remembered, so it may repeat one: search an export for its mintId.',
  'mint-id-wrong-time':
    'A broker draws the id within moments of this entry: look the id up in CloudTrail, and ask the operator which program wrote it. Honest mints around it are not affected.',
  'no-session':
    'A credential without a validated session: look up what it was used for, and take it for stolen until explained.',
  'no-request':
    'Credentials that were not announced before they were made: look up the access key in CloudTrail and ask the operator.',
  'mint-out-of-turn': ASK_THE_BROKER,
  'outside-scope':
    'A child session was given what its scope does not hold: look up in CloudTrail what was done with it, and ask the operator which program wrote the entry.',
  'after-cut-off':
    'The operator had cut this off before: look up in CloudTrail what the credential was used for, and ask which broker wrote the entry. One of an older version obeys no cut-off.',
  'policy-not-loaded':
    'No broker said before that it decides by this policy: ask the operator for the policy files of this hash, and which program wrote the entry.',
  'against-policy':
    'A credential that the policy had refused: look up in CloudTrail what it was used for, and take it for stolen until explained.',
  'too-many-policies':
    'More policies were loaded than this verifier remembers: decisions by the one that this entry names are not checked.',
  'wrong-wallet':
    'A session of one wallet was used for another: look up both in CloudTrail and revoke the role session.',
  'wrong-role':
    'The role is not the one that was announced: look up the role session in CloudTrail and check the trust policy.',
  'wrong-subject':
    'AWS saw another identity than the ledger names: look up the JWT by its jti in CloudTrail.',
  'wrong-issue-time':
    'The token is good at another time than the ledger says: look its jti up in CloudTrail, and check the clock of the broker that wrote the entry.',
  'wrong-audience':
    'A JWT that was announced for STS is good elsewhere: find out who accepts that audience, and what was done with it.',
  'wrong-session-name': MINTED_OTHERWISE,
  'wrong-assumed-role': MINTED_OTHERWISE,
  'wrong-duration': MINTED_OTHERWISE,
  'wrong-expiry': MINTED_OTHERWISE,
  'wrong-reason': ASK_THE_BROKER,
  'access-key-repeated':
    'STS gives an access key once, so one of the two entries is made up: look up the key in CloudTrail by its time and session.',
  'signing-input-repeated':
    'A signing input holds its mint id, so two mints cannot have the same: one of the two entries hides what was signed.',
  'ttl-out-of-bounds':
    'The credential lived longer or shorter than any broker allows: check which program wrote the entry.',
  'key-unpublished': KEYS,
  'key-not-active': KEYS,
  'key-out-of-turn': KEYS,
  'key-reused': KEYS,
  'key-not-signed':
    'No holder of the ledger key vouches for this change of the key: take every JWT of this kid for suspect, and ask the operator which program wrote the entry. In a ledger from before key events were signed, agentkeys-broker adopt-ledger vouches for them once.',
  'too-many-cut-offs':
    'So much is cut off at once that this verifier does not remember more: mints of what this entry names are not checked against it.',
  'grant-unknown': UNGRANTED,
  'grant-expired': UNGRANTED,
  'grant-used-up': UNGRANTED,
  'outside-grant': UNGRANTED,
  'grant-out-of-turn': ASK_THE_BROKER,
  'too-many-grants':
    'So many grants are there at once that this verifier does not remember more: uses of what this entry names are reported as of no grant.',
  'approval-unusable': UNAPPROVED,
  'outside-approval': UNAPPROVED,
  'approval-out-of-turn': ASK_THE_BROKER,
  'too-many-approvals':
    'So many approvals are there at once that this verifier does not remember more: uses of what this entry names are reported as of none.',
  'too-many-keys': 'No broker publishes so many keys: ask the operator which program wrote them.',
  'span-backwards': 'The counts cover no span of time: compare them with the broker log of that minute.',
  'wrong-span': 'No broker counts so: compare the counts with the broker log of that time.',
} satisfies Record<FindingKind, string>

export const FINDING_KINDS = Object.keys(ADVICE) as readonly FindingKind[]
