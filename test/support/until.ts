import { setTimeout as pause } from 'node:timers/promises'

/** Longer than any machine takes, and shorter than a test's own limit, which could not say what was waited for. */
const PATIENCE_MS = 200_000

/** Waits until `holds`, however slow the machine is. Rejects with what `otherwise` says when it never does. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  otherwise = () => `it never came to that: ${holds.toString()}`,
): Promise<void> {
  const over = performance.now() + PATIENCE_MS
  while (!(await holds())) {
    if (performance.now() > over) throw new Error(otherwise())
    await pause(10)
  }
}
