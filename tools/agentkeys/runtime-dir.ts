// Where the daemon's sockets are: a folder that only its owner may enter.

import { join } from 'node:path'

import { homeDir } from './home.js'

/** $AGENTKEYS_RUNTIME_DIR, else $XDG_RUNTIME_DIR/agentkeys, else ~/.agentkeys/run. */
export function runtimeDir(env: NodeJS.ProcessEnv = process.env): string {
  const named = env['AGENTKEYS_RUNTIME_DIR']
  if (named) return named
  const runtime = env['XDG_RUNTIME_DIR']
  return runtime ? join(runtime, 'agentkeys') : join(homeDir(env), 'run')
}

/** `agent.sock` serves the daemon's own session; NAME.sock the one that it was bound to with --socket-for NAME. */
export function socketPath(name = 'agent', env: NodeJS.ProcessEnv = process.env): string {
  return join(runtimeDir(env), `${name}.sock`)
}
