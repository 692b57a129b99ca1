// The strings of a policy: wildcards and variables, split once when the policy is loaded.
// IAM User Guide, "IAM policy elements: Variables and tags".

/** Condition keys, lower-cased, with their values. A key that is not there is missing, which is not the same as empty. */
export type Context = ReadonlyMap<string, readonly string[]>

type Piece =
  | { kind: 'text'; text: string }
  | { kind: 'any' }
  | { kind: 'one' }
  /** `key` is lower-cased: condition keys have no case. */
  | { kind: 'variable'; key: string; fallback: string | undefined }

export type Template = readonly Piece[]

const PIECES = /\$\{([^}]*)\}|[*?]|(?:(?!\$\{)[^*?])+|\$\{/gsu
const VARIABLE = /^\s*([^\s,']+)\s*(?:,\s*'([^']*)'\s*)?$/s

/** Throws an Error that says what is wrong with a variable. */
export function template(source: string, wildcards: boolean): Template {
  return Array.from(source.matchAll(PIECES), ([whole, inner]): Piece => {
    if (whole === '${') throw new Error('a policy variable must end with }')
    if (inner !== undefined) return variable(inner)
    if (wildcards && whole === '*') return { kind: 'any' }
    if (wildcards && whole === '?') return { kind: 'one' }
    return { kind: 'text', text: whole }
  })
}

function variable(inner: string): Piece {
  if (inner === '*' || inner === '?' || inner === '$') return { kind: 'text', text: inner }
  const [, key, fallback] = VARIABLE.exec(inner) ?? []
  if (key === undefined) throw new Error(`\${${inner}} is no policy variable`)
  return { kind: 'variable', key: key.toLowerCase(), fallback }
}

export function variablesOf(pieces: Template): { key: string; fallback: string | undefined }[] {
  return pieces.filter((piece) => piece.kind === 'variable')
}

/**
 * Whether the template stands for `value`. A variable whose key is missing, or has several values, stands for nothing.
 * What it resolves to is text: a `*` in a tag is no wildcard.
 */
export function matches(pieces: Template, value: string, context: Context): boolean {
  let source = ''
  for (const piece of pieces) {
    switch (piece.kind) {
      case 'any':
        source += '.*'
        break
      case 'one':
        source += '.'
        break
      case 'text':
        source += escaped(piece.text)
        break
      case 'variable': {
        const found = context.get(piece.key) ?? (piece.fallback === undefined ? [] : [piece.fallback])
        if (found[0] === undefined || found.length > 1) return false
        source += escaped(found[0])
      }
    }
  }
  return new RegExp(`^(?:${source})$`, 'su').test(value)
}

function escaped(text: string): string {
  return text.replace(/[\\^$.|+*?()[\]{}/]/g, '\\$&')
}
