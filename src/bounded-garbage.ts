// For the installed programs, whose first line cannot give node a flag everywhere (BusyBox's env has no -S): V8 lets
// garbage grow to several times a heap of 40 MB as long as the machine has memory. Imported before anything else.

import { setFlagsFromString } from 'node:v8'

/** Garbage may grow to half of what lives. Read at every collection, where V8 reads --max-old-space-size only once. */
const BOUND = '--heap-growing-percent=50'

// A limit that was given is the operator's choice: npm start, the unit and the image give one.
const given = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].join(' ')
if (!/--max[-_](?:old[-_]space|heap)[-_]size/.test(given)) setFlagsFromString(BOUND)
