import { readFileSync } from 'node:fs'

/** Of the package, as the built program finds it: dist/src lies two folders below package.json. */
export const VERSION = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version
