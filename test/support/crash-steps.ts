// Every step between a mint's append and its reply at which a broker can be killed, in the order in which they come.

/** Where the step is, and whether what was to be recorded is in the ledger by then. */
export interface CrashStep {
  step: string
  recorded: boolean
  /** Whether the caller can have got an answer by then. */
  answered: 'no' | 'perhaps' | 'yes'
}

const notRecorded = { recorded: false, answered: 'no' } as const
const recorded = { recorded: true, answered: 'no' } as const
/** Other threads and timers: the reply goes its own way meanwhile. */
const beside = { recorded: true, answered: 'perhaps' } as const

/** Reached for each checkpoint that a witness is shown. */
export const WITNESS_STEPS = [
  { step: 'witness: to be shown the checkpoint', ...beside },
  { step: 'witness: has cosigned, its answer not read', ...beside },
] as const satisfies CrashStep[]

/** Reached for everything that is appended, the start of a broker included. */
export const LEDGER_STEPS = [
  { step: 'append: nothing written', ...notRecorded },
  { step: 'append: written, not committed', ...notRecorded },
  { step: 'append: committed, the broker without an answer', ...recorded },
  { step: 'checkpoint: to be signed', ...recorded },
  { step: 'checkpoint: signed, no one has it', ...recorded },
  { step: 'trace: nothing written', ...beside },
  { step: 'trace: file made, empty', ...beside },
  { step: 'trace: written, not renamed', ...beside },
  { step: 'trace: renamed, folder not synced', ...beside },
  { step: 'tiles: nothing written', ...beside },
  { step: 'tiles: written, position not', ...beside },
  { step: 'tiles: written with position, not committed', ...beside },
  { step: 'tiles: committed, the broker without an answer', ...beside },
  ...WITNESS_STEPS,
] as const satisfies CrashStep[]

/** Reached for a mint alone. */
export const REPLY_STEPS = [
  { step: 'release: the receipt is made, the JWT not signed', ...recorded },
  { step: 'release: the JWT is signed', ...recorded },
  { step: 'reply: nothing written', ...recorded },
  { step: 'reply: written', recorded: true, answered: 'yes' },
] as const satisfies CrashStep[]

export type StepName = (typeof LEDGER_STEPS | typeof REPLY_STEPS)[number]['step']

/** The environment of a broker that looks into this file, at each step, for the name of the one to be killed at. */
export const KILL_AT_FILE = 'TEST_KILL_AT_FILE'
/** The body of each checkpoint that was signed, in base64, a line each: written before anybody can have it. */
export const SIGNED_FILE = 'TEST_SIGNED_FILE'
