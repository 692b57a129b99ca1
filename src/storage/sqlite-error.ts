/** An error that SQLite itself reported. By its code, not its class: two loaded copies of the driver have two classes. */
export function isSqliteError(error: unknown): error is Error & { code: string } {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    error.code.startsWith('SQLITE_')
  )
}
