import { Body, Controller, Get, Header, HttpCode, Post } from '@nestjs/common'
import { CommandBus } from '@nestjs/cqrs'

import { ChangeKeys } from '../commands/change-keys.js'
import { isOver, type KeyCommand } from '../domain/ledger/key-changes.js'
import type { KeyState } from '../domain/ledger/signing-keys.js'
import type { LedgerReference } from '../ledger/ledger.js'
import { TokenSigner } from '../oidc/token-signer.js'
import { KeysView, type SigningKeyRow } from '../projections/signing-keys.js'
import { Bearer } from './bearer.js'
import { AskPipe } from './body.js'
import { RetireKeyBody, RevokeKeyBody, RotateKeysBody } from './keys.dto.js'
import { Operators } from './operator.js'

interface ListedKey {
  kid: string
  alg: string
  state: Exclude<KeyState, 'published'> | 'next'
  since: string
  /** Where its private half is; null: not at this broker. */
  signer: string | null
  /** What comes next, and from when on. Null: at any time, or not by itself. */
  then: string
  then_at: string | null
}

interface KeysReply {
  keys: ListedKey[]
  publish_ahead_seconds: number
}

interface ChangeReply {
  active: string | null
  next: string | null
  at: string
  ledger: LedgerReference
}

@Controller('v1/keys')
export class KeysController {
  constructor(
    private readonly commands: CommandBus,
    private readonly keys: KeysView,
    private readonly signer: TokenSigner,
    private readonly operators: Operators,
  ) {}

  @Get()
  @Header('Cache-Control', 'no-store')
  list(@Bearer() bearer: string): KeysReply {
    this.operators.assert(bearer)
    const keys = this.keys.all().map(({ kid, state, row }) => this.listed(kid, state, row))
    return { keys, publish_ahead_seconds: this.keys.jwksCacheMs / 1000 }
  }

  @Post('rotate')
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  rotate(
    @Bearer() bearer: string,
    @Body(AskPipe) { emergency = false }: RotateKeysBody,
  ): Promise<ChangeReply> {
    return this.change(bearer, { kind: 'rotate', emergency })
  }

  @Post('retire')
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  retire(@Bearer() bearer: string, @Body(AskPipe) { kid }: RetireKeyBody): Promise<ChangeReply> {
    return this.change(bearer, { kind: 'retire', kid })
  }

  @Post('revoke')
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  revoke(
    @Bearer() bearer: string,
    @Body(AskPipe) { kid, reason, emergency = false }: RevokeKeyBody,
  ): Promise<ChangeReply> {
    return this.change(bearer, { kind: 'revoke', kid, emergency }, reason)
  }

  private async change(bearer: string, command: KeyCommand, reason?: string): Promise<ChangeReply> {
    this.operators.assert(bearer)
    const {
      active = null,
      next = null,
      at,
      ledger,
    } = await this.commands.execute(new ChangeKeys(command, reason))
    return { active, next, at, ledger }
  }

  private listed(kid: string, state: KeyState, row: SigningKeyRow): ListedKey {
    const { then, at } = outlook(state, {
      possible: Date.parse(row.published_at) + this.keys.jwksCacheMs,
      leaves: this.keys.leavesAt(row),
    })
    return {
      kid,
      alg: row.alg,
      state: state === 'published' ? 'next' : state,
      since: sinceOf(state, row),
      // One that is over is not kept.
      signer: (isOver({ state }) ? undefined : this.signer.ring.get(kid)?.path) ?? null,
      then,
      then_at: at === undefined ? null : new Date(at).toISOString(),
    }
  }
}

function outlook(
  state: KeyState,
  { possible, leaves }: { possible: number; leaves: number },
): { then: string; at?: number } {
  switch (state) {
    case 'published':
      return { then: '"keys rotate" takes it into use', at: possible }
    case 'active':
      return { then: '"keys rotate" retires it' }
    case 'superseded':
      return { then: '"keys retire" ends it' }
    case 'retired':
      return { then: 'it is not in the JWKS any more', at: leaves }
    case 'revoked':
      return { then: 'it is not in the JWKS any more', at: leaves }
  }
}

function sinceOf(state: KeyState, row: SigningKeyRow): string {
  const { published_at, activated_at, retired_at, revoked_at } = row
  const times = {
    published: published_at,
    active: activated_at,
    superseded: activated_at,
    retired: retired_at,
    revoked: revoked_at,
  } satisfies Record<KeyState, string | null>
  return times[state] ?? published_at
}
