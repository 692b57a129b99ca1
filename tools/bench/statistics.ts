export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const [low, high] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]]
  return ((low ?? NaN) + (high ?? NaN)) / 2
}

/** To three significant digits: more would claim what this kind of measurement does not know. */
export function rounded(value: number): number {
  return Number(value.toPrecision(3))
}
