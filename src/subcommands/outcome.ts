/** How a subcommand ended: its exit code, and one line for stdout (0) or stderr (else). */
export interface Outcome {
  code: 0 | 1 | 2 | 3
  message: string
}
