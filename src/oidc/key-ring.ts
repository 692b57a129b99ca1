// The private keys of this broker: the one in BROKER_OIDC_KEYPAIR_PATH's file, which is the active one as a rule, and
// those in the folder beside it, NAME.d, which wait to be the next.

import { readdirSync, rmSync } from 'node:fs'
import { basename, dirname, extname, join } from 'node:path'

import { thumbprint } from '../domain/ledger/jwk.js'
import { type HeldKey, isOver } from '../domain/ledger/key-changes.js'
import type { SigningKeys } from '../domain/ledger/signing-keys.js'
import { isUnwritable } from '../storage/private-file.js'
import {
  createSigningKey,
  loadOrCreateSigningKey,
  loadSigningKey,
  moveSigningKey,
  settleSigningKey,
  type SigningKey,
} from './key-file.js'

/** A key that is not here is looked for this often, however often it is asked for. */
const LOOK_EVERY_MS = 1_000

export class KeyRing {
  /** Where the keys are that wait. */
  readonly folder: string
  private readonly keys = new Map<string, SigningKey>()
  private lookedAt = -Infinity

  private constructor(
    /** Of the file at `path`. */
    private firstKey: SigningKey,
    private readonly path: string,
  ) {
    this.folder = join(dirname(path), `${basename(path, extname(path))}.d`)
    this.look()
  }

  /** Loads what there is, or makes the first key. Throws PrivateFileError. */
  static open(path: string): KeyRing {
    return new KeyRing(loadOrCreateSigningKey(path), path)
  }

  get first(): SigningKey {
    return this.firstKey
  }

  /** The keys of the folder. */
  others(): SigningKey[] {
    return [...this.keys.values()].filter(({ kid }) => kid !== this.firstKey.kid)
  }

  held(): HeldKey[] {
    return [...this.keys.values()].map(heldKey)
  }

  /** The key of this name. The files may have come after the start: they are looked at again where it is not here. */
  get(kid: string): SigningKey | undefined {
    const key = this.keys.get(kid)
    if (key || performance.now() - this.lookedAt < LOOK_EVERY_MS) return key
    this.look()
    return this.keys.get(kid)
  }

  /** A key of which the ledger has not heard. Undefined: none is here, and none can be made in the folder. */
  fresh(keys: SigningKeys): SigningKey | undefined {
    const unknown = this.others().find(({ jwk }) => keys.kidOf(thumbprint(jwk)) === undefined)
    const key = unknown ?? this.created()
    if (key) this.keys.set(key.kid, key)
    return key
  }

  /**
   * The files after what the ledger says: the active key in the first one, and no key on the disk that is over. A key
   * in memory goes on to sign what was announced under it.
   */
  settle(keys: SigningKeys): void {
    const active = keys.activeKid === undefined ? undefined : this.keys.get(keys.activeKid)
    const first = this.firstKey
    if (active && active.kid !== first.kid) {
      // A file that an operator put there, and of which the ledger has not heard, stays.
      if (!first.isNew && !isOver(keys.get(first.kid))) return
      moveSigningKey(active, this.path)
      this.firstKey = { ...active, path: this.path, isNew: false }
      this.keys.set(active.kid, this.firstKey)
    } else if (active) settleSigningKey(this.path, active)
    for (const { kid, path } of this.others())
      if (isOver(keys.get(kid)) && path !== this.path) rmSync(path, { force: true })
  }

  private look(): void {
    this.lookedAt = performance.now()
    this.keys.set(this.firstKey.kid, this.firstKey)
    for (const name of filesIn(this.folder)) {
      if (this.keys.has(basename(name, '.json'))) continue
      const key = loadSigningKey(join(this.folder, name))
      if (key && !this.keys.has(key.kid)) this.keys.set(key.kid, key)
    }
  }

  private created(): SigningKey | undefined {
    try {
      return createSigningKey(this.folder)
    } catch (error) {
      // A mounted secret, say: who put the first key there puts the next one there too.
      if (isUnwritable(error)) return undefined
      throw error
    }
  }
}

export function heldKey({ kid, jwk }: SigningKey): HeldKey {
  return { kid, thumbprint: thumbprint(jwk) }
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => /^[^.].*\.json$/.test(name))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
