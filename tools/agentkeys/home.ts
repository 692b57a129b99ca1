// Where the CLI keeps what it knows: a folder for each broker, so that nothing of one broker is sent to another.

import { mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** ~/.agentkeys, or $AGENTKEYS_HOME. */
export function homeDir(env: NodeJS.ProcessEnv = process.env): string {
  return env['AGENTKEYS_HOME'] ?? join(homedir(), '.agentkeys')
}

export class BrokerHome {
  readonly folder: string

  /** `url` with its path, as parseBrokerUrl gives it. */
  constructor(
    readonly url: URL,
    readonly root: string = homeDir(),
  ) {
    this.folder = join(root, 'brokers', folderName(url))
  }

  get pin(): string {
    return join(this.folder, 'ledger-key.json')
  }

  get walletKey(): string {
    return join(this.folder, 'wallet-key')
  }

  session(id: string): string {
    return join(this.folder, 'sessions', `${id}.json`)
  }

  get receipts(): string {
    return join(this.folder, 'receipts')
  }

  get cache(): string {
    return join(this.folder, 'cache')
  }

  /** Makes the folders that the paths above lie in; only their owner may enter them. */
  make(): void {
    for (const folder of [this.folder, join(this.folder, 'sessions'), this.receipts, this.cache])
      mkdirSync(folder, { recursive: true, mode: 0o700 })
  }
}

/** Readable, and different for different brokers: every byte that is not plain is written as _XX. */
function folderName({ protocol, host, pathname }: URL): string {
  const scheme = protocol === 'https:' ? '' : 'http_'
  return scheme + encoded(`${host}${pathname === '/' ? '' : pathname}`)
}

function encoded(text: string): string {
  return Array.from(Buffer.from(text), (byte) => {
    const char = String.fromCharCode(byte)
    return /[A-Za-z0-9.-]/.test(char) ? char : `_${byte.toString(16).padStart(2, '0')}`
  }).join('')
}
