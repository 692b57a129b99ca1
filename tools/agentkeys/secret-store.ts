// Where secrets lie at rest: the OS keychain where there is one that survives a reboot, otherwise a file that only its
// owner can read. The file is a full store and no failure: servers and containers have no keychain.

import { rmSync } from 'node:fs'

import { writeFileAtomically } from '../../src/storage/atomic-file.js'
import { readPrivateFile } from '../../src/storage/private-file.js'

export type StoreKind = 'keychain' | 'file'

export interface SecretStore {
  readonly kind: StoreKind
  read(): Promise<string | undefined>
  write(secret: string): Promise<void>
  remove(): Promise<void>
}

export class FileSecret implements SecretStore {
  readonly kind = 'file'

  constructor(private readonly path: string) {}

  read(): Promise<string | undefined> {
    return Promise.resolve(readPrivateFile(this.path))
  }

  write(secret: string): Promise<void> {
    writeFileAtomically(this.path, secret, 0o600)
    return Promise.resolve()
  }

  remove(): Promise<void> {
    rmSync(this.path, { force: true })
    return Promise.resolve()
  }
}

/**
 * Tries the keychain and falls back to the file. A secret is in one of them: where the keychain takes it, the file goes;
 * a read looks into the file first, since a file that is there was written when the keychain would not.
 */
export class PreferredSecret implements SecretStore {
  private used: StoreKind = 'file'

  constructor(
    private readonly keychain: SecretStore | undefined,
    private readonly file: FileSecret,
  ) {}

  get kind(): StoreKind {
    return this.used
  }

  async read(): Promise<string | undefined> {
    const text = await this.file.read()
    this.used = text === undefined && this.keychain ? 'keychain' : 'file'
    return text ?? (await attempted(() => this.keychain?.read()))
  }

  async write(secret: string): Promise<void> {
    // Read back: a keychain that says yes and keeps nothing would lose the session at the next command.
    const kept = await attempted(async () => {
      await this.keychain?.write(secret)
      return (await this.keychain?.read()) === secret
    })
    if (kept) await this.file.remove()
    else await this.file.write(secret)
    this.used = kept ? 'keychain' : 'file'
  }

  async remove(): Promise<void> {
    await this.file.remove()
    await attempted(() => this.keychain?.remove())
  }
}

/** A keychain that is missing, locked or slow is the same as none. */
async function attempted<T>(work: () => Promise<T> | undefined): Promise<T | undefined> {
  try {
    return await work()
  } catch {
    return undefined
  }
}
