export interface Finding {
  level: 'ok' | 'warning' | 'failure'
  what: string
  /** What to do; absent where nothing is to be done. */
  remedy?: string
}

export const ok = (what: string): Finding => ({ level: 'ok', what })
export const warning = (what: string, remedy: string): Finding => ({ level: 'warning', what, remedy })
export const failure = (what: string, remedy: string): Finding => ({ level: 'failure', what, remedy })
