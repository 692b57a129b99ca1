// Loaded ahead of a program (node --import): says on stderr how much memory it had resident at most.

import { writeSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

if (isMainThread) {
  process.on('exit', () => writeSync(2, `peak-rss-kib ${process.resourceUsage().maxRSS}\n`))
}
