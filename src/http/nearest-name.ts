/** The one of `names` that was probably meant: the same but for case, a typing error or two, or a part that was left out. */
export function nearestName(given: string, names: readonly string[]): string | undefined {
  const plain = given.toLowerCase().replaceAll('-', '_')
  const typed = names
    .map((name) => ({ name, distance: distance(plain, name) }))
    .sort((a, b) => a.distance - b.distance)[0]
  if (typed && typed.distance <= 2 && typed.distance < typed.name.length / 2) return typed.name
  return plain.length < 3 ? undefined : names.find((name) => name.startsWith(plain) || plain.startsWith(name))
}

/** Levenshtein's: insertions, deletions and replacements. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}
