import fc from 'fast-check'

/** Texts that differ from `text` a little: cut, doubled, with something put in, taken out or replaced. */
export function mutationsOf(text: string): fc.Arbitrary<string> {
  const piece = fc.oneof(
    fc.constantFrom(
      '',
      '\n',
      '\n\n',
      ' ',
      '\r',
      '\r\n',
      '=',
      '0',
      '1',
      '+',
      '—',
      'A',
      '\t',
      '\0',
      '\ufeff',
      '\ud800',
      '\u00a0',
    ),
    fc.string({ maxLength: 3 }),
  )
  const at = fc.nat(text.length)
  return fc.oneof(
    fc.tuple(at, piece).map(([i, put]) => text.slice(0, i) + put + text.slice(i)),
    fc.tuple(at, piece).map(([i, put]) => text.slice(0, i) + put + text.slice(i + 1)),
    fc.tuple(at, at).map(([i, j]) => text.slice(0, Math.min(i, j)) + text.slice(Math.max(i, j))),
    fc.tuple(at, at).map(([i, j]) => text.slice(0, Math.max(i, j)) + text.slice(Math.min(i, j))),
    at.map((i) => swapLines(text, i)),
  )
}

function swapLines(text: string, n: number): string {
  const lines = text.split('\n')
  const at = n % Math.max(lines.length - 1, 1)
  return lines
    .with(at, lines[at + 1] ?? '')
    .with(Math.min(at + 1, lines.length - 1), lines[at] ?? '')
    .join('\n')
}
