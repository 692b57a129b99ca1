/**
 * A member that an object of this JSON text has twice. Parsers take the first or the last of them, and what looked at
 * the text before us may have taken the other. `json` must be valid JSON.
 */
export function duplicateMember(json: string): string | undefined {
  const open: (Set<string> | undefined)[] = []
  for (const [token, string, colon] of json.matchAll(/("(?:[^"\\]|\\.)*")\s*(:)?|[{}[\]]/g)) {
    if (token === '{') open.push(new Set())
    else if (token === '[') open.push(undefined)
    else if (token === '}' || token === ']') open.pop()
    else if (string !== undefined && colon !== undefined) {
      // Escapes spell one name in many ways.
      const name = JSON.parse(string) as string
      const names = open.at(-1)
      if (names?.has(name)) return name
      names?.add(name)
    }
  }
  return undefined
}
