/**
 * Why better-sqlite3 cannot be used at all, if that is what `error` says: its native module is missing (installed without
 * scripts, and no binary was fetched), or is made for another version of Node. Undefined for any other error.
 */
export function nativeModuleProblem(error: unknown): string | undefined {
  const { code, message } = error as NodeJS.ErrnoException
  const notFound = message.startsWith('Could not locate the bindings file')
  if (!notFound && code !== 'MODULE_NOT_FOUND' && code !== 'ERR_DLOPEN_FAILED') return undefined
  return `better-sqlite3 cannot be loaded: install it again with npm ci (${message.split('\n', 1)[0]})`
}
