// npm-shrinkwrap.json: what is installed from a registry is what was tested. Overrides do not reach those who install a
// package, and without them two dependencies do not support Node 20, and one runs a script.

import { readFileSync, writeFileSync } from 'node:fs'

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'))
for (const [path, { dev }] of Object.entries(lock.packages)) if (dev) delete lock.packages[path]
delete lock.packages[''].devDependencies
writeFileSync('npm-shrinkwrap.json', `${JSON.stringify(lock, null, 2)}\n`)
