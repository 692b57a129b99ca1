// Says at the end of a run how many suites it left out, so that a green npm test is not taken for all of them.

import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const COMPILED = fileURLToPath(new URL('../..', import.meta.url))

/** The parts of Jest's contexts that are read here: a context for each project that was selected. */
interface Context {
  config: { displayName?: { name: string } }
}

const SCRIPTS = { unit: 'npm test', int: 'test:int', e2e: 'test:e2e', faults: 'test:faults' } as const
type Project = keyof typeof SCRIPTS

export default class LeftSuitesReporter {
  onRunComplete(contexts: Set<Context>): void {
    const run = new Set([...contexts].map(({ config }) => config.displayName?.name))
    const left = leftSuites(suitesIn(COMPILED), run)
    // After Jest's own summary, which comes after every reporter.
    if (left !== undefined) process.once('exit', () => process.stderr.write(`${left}\n`))
  }
}

/** The sentence about the projects that did not run; undefined if all of them did. */
export function leftSuites(
  suites: readonly string[],
  run: ReadonlySet<string | undefined>,
): string | undefined {
  const counts = new Map<Project, number>()
  for (const suite of suites) {
    const project = projectOf(suite)
    if (!run.has(project)) counts.set(project, (counts.get(project) ?? 0) + 1)
  }
  if (counts.size === 0) return undefined
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
  const each = [...counts].map(([project, count]) => `${SCRIPTS[project]} (${count})`)
  return `\nLeft to the others: ${total} suites, ${each.join(', ')}. Everything: npm run test:all`
}

function projectOf(suite: string): Project {
  const [, ending] = /\.(int|e2e|fault)\.test\.js$/.exec(suite) ?? []
  return ending === 'fault' ? 'faults' : ((ending ?? 'unit') as Project)
}

function suitesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.test.js'),
  )
}
