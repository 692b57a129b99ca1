// Where secrets lie at rest: the OS keychain where there is one that survives a reboot, otherwise a file that only its
// owner can read. The file is a full store and no failure: servers and containers have no keychain.

import { existsSync, rmSync } from 'node:fs'
import { basename } from 'node:path'

import { writeFileAtomically } from '../../src/storage/atomic-file.js'
import { readPrivateFile } from '../../src/storage/private-file.js'

import { CliError } from './report-error.js'

export type StoreKind = 'keychain' | 'file'

export interface SecretStore {
  readonly kind: StoreKind
  read(): Promise<string | undefined>
  write(secret: string): Promise<void>
  remove(): Promise<void>
}

export class FileSecret implements SecretStore {
  readonly kind = 'file'

  constructor(readonly path: string) {}

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
 * Tries the keychain and falls back to the file. A secret is in one of them: where the keychain takes it, the file goes,
 * and an empty one beside it says so; a read looks into the file first, since a file that is there was written when the
 * keychain would not. A keychain that has the secret and does not give it is an error: as if there were none, a new
 * wallet or a new key would be made, and what belongs to the old one would be lost from sight.
 */
export class PreferredSecret implements SecretStore {
  private used: StoreKind = 'file'
  private readonly mark: string

  constructor(
    private readonly keychain: SecretStore | undefined,
    private readonly file: FileSecret,
  ) {
    this.mark = `${file.path}.in-keychain`
  }

  get kind(): StoreKind {
    return this.used
  }

  async read(): Promise<string | undefined> {
    const text = await this.file.read()
    this.used = text === undefined && this.keychain ? 'keychain' : 'file'
    return text ?? (await this.readKeychain())
  }

  async write(secret: string): Promise<void> {
    // Read back: a keychain that says yes and keeps nothing would lose the session at the next command.
    const kept = await attempted(async () => {
      await this.keychain?.write(secret)
      return (await this.keychain?.read()) === secret
    })
    if (kept) {
      writeFileAtomically(this.mark, '', 0o600)
      await this.file.remove()
    } else await this.file.write(secret)
    this.used = kept ? 'keychain' : 'file'
  }

  async remove(): Promise<void> {
    await this.file.remove()
    await attempted(() => this.keychain?.remove())
    rmSync(this.mark, { force: true })
  }

  private async readKeychain(): Promise<string | undefined> {
    if (!existsSync(this.mark)) return attempted(() => this.keychain?.read())
    // Removed from the keychain by hand: then there is none.
    const read = await attempted(async () => ({ text: await this.keychain?.read() }))
    if (this.keychain && read) return read.text
    throw new CliError(
      `${basename(this.file.path)} is in the keychain, which does not answer`,
      'unlock it, or run this where it can be reached (DBUS_SESSION_BUS_ADDRESS on Linux)',
    )
  }
}

/** A keychain that is missing, locked or slow takes no secret and has none to give. */
async function attempted<T>(work: () => Promise<T> | undefined): Promise<T | undefined> {
  try {
    return await work()
  } catch {
    return undefined
  }
}
