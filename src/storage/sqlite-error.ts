/** An error that SQLite itself reported. By its code, not its class: two loaded copies of the driver have two classes. */
export function isSqliteError(error: unknown): error is Error & { code: string } {
  if (typeof error !== 'object' || error === null || !('code' in error)) return false
  return typeof error.code === 'string' && error.code.startsWith('SQLITE_')
}
