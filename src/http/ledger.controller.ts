// The ledger's read side: C2SP tlog-tiles under /ledger. Hashes, checkpoints and proofs are public, entries may not be.

import { promisify } from 'node:util'
import { gzip } from 'node:zlib'

import { Controller, Get, Header, Param, Query, Req, Res } from '@nestjs/common'
import type { FastifyReply, FastifyRequest } from 'fastify'

import { Config } from '../config.js'
import { BrokerError } from '../domain/errors.js'
import { formatSignedCheckpoint, type SignedCheckpoint } from '../domain/ledger/checkpoint.js'
import { formatProof } from '../domain/ledger/proof.js'
import { encodeBundle, parseTilePath, type Tile, TILE_WIDTH, tileWidth } from '../domain/ledger/tiles.js'
import { FormatError, utf8 } from '../domain/ledger/encoding.js'
import { EventStore } from '../event-store/event-store.js'
import { Ledger } from '../ledger/ledger.js'
import { AuditQuery } from '../projections/audit-query.js'
import { Projector } from '../projections/projector.js'
import { PublishedTiles } from '../projections/published-tiles.js'
import { bearerOf } from './bearer.js'
import { AuditAccess } from './audit-access.js'

const TEXT = 'text/plain; charset=utf-8'
const A_FEW_SECONDS = 'public, max-age=2'
/** A tile of a given width never changes. */
const FOREVER = 'max-age=31536000, immutable'

const compressed = promisify(gzip)

@Controller('ledger')
export class LedgerController {
  constructor(
    private readonly config: Config,
    private readonly ledger: Ledger,
    private readonly store: EventStore,
    private readonly projector: Projector,
    private readonly tiles: PublishedTiles,
    private readonly audit: AuditQuery,
    private readonly access: AuditAccess,
  ) {}

  @Get('checkpoint')
  @Header('Content-Type', TEXT)
  @Header('Cache-Control', A_FEW_SECONDS)
  checkpoint(): string {
    return formatSignedCheckpoint(this.published())
  }

  @Get('vkey')
  @Header('Content-Type', TEXT)
  @Header('Cache-Control', 'public, max-age=3600')
  vkey(): string {
    return `${this.ledger.vkey}\n`
  }

  @Get('proof')
  async proofByJti(@Query('jti') jti: unknown, @Res() reply: FastifyReply): Promise<void> {
    if (typeof jti !== 'string' || !/^[0-9a-f-]{36}$/.test(jti)) {
      throw new BrokerError('invalid-field', 'jti must be one mint id, a UUID in lower case')
    }
    const mint = this.audit.byJti(jti)
    const index = mint?.creds_minted_index ?? mint?.jwt_issued_index
    if (index === undefined || index === null)
      throw new BrokerError('no-such-mint', 'no mint with this id has an entry of a credential')
    await this.sendProof(index, reply)
  }

  @Get('proof/:index')
  async proof(@Param('index') index: string, @Res() reply: FastifyReply): Promise<void> {
    if (!/^(?:0|[1-9][0-9]{0,15})$/.test(index)) {
      throw new BrokerError('invalid-field', 'the index must be a decimal number without leading zeros')
    }
    await this.sendProof(Number(index), reply)
  }

  @Get('tile/*')
  async tile(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const tile = this.existing(request.url)
    if (tile.level === 'entries') return this.sendBundle(tile, request, reply)
    const hashes = this.tiles.tile(tile.level, tile.index, tile.width)
    if (!hashes) throw noSuchTile()
    await reply.type('application/octet-stream').header('Cache-Control', `public, ${FOREVER}`).send(hashes)
  }

  /** A tile that the published checkpoint implies. The path is taken as it was sent: nothing in it is decoded. */
  private existing(url: string): Tile {
    try {
      const tile = parseTilePath((url.split('?', 1)[0] as string).slice('/ledger/'.length))
      if (tile.width <= tileWidth(tile.level, tile.index, this.published().size)) return tile
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
    }
    throw noSuchTile()
  }

  private async sendBundle(tile: Tile, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const isPublic = this.config.ledger.entries === 'public'
    if (!isPublic) await this.mustBeAuditor(request)
    const stored = await this.store.read(tile.index * TILE_WIDTH, tile.width)
    if (stored.length < tile.width) throw noSuchTile()
    const bundle = encodeBundle(stored.map(({ text }) => utf8(text)))
    const zip = acceptsGzip(request.headers['accept-encoding'])
    if (zip) void reply.header('Content-Encoding', 'gzip')
    await reply
      .type('application/octet-stream')
      .header('Vary', 'Accept-Encoding')
      .header('Cache-Control', `${isPublic ? 'public' : 'private'}, ${FOREVER}`)
      .send(zip ? await compressed(bundle) : Buffer.from(bundle))
  }

  private async mustBeAuditor(request: FastifyRequest): Promise<void> {
    const viewer = await this.access.resolve(bearerOf(request))
    if (viewer.role !== 'auditor')
      throw new BrokerError('auditor-only', 'entries are shown to the auditor token only')
  }

  private async sendProof(index: number, reply: FastifyReply): Promise<void> {
    const checkpoint = this.published()
    if (index >= checkpoint.size)
      throw new BrokerError('no-such-entry', 'the published checkpoint does not cover an entry of this index')
    const path = this.tiles.inclusion(index, checkpoint.size)
    await reply
      .type(TEXT)
      .header('Cache-Control', A_FEW_SECONDS)
      .send(formatProof({ index, path, checkpoint }))
  }

  /** As far as the tiles reach: a reader must never be shown a head whose tiles are not there yet. */
  private published(): SignedCheckpoint {
    return this.ledger.published(this.projector.position)
  }
}

function noSuchTile(): BrokerError {
  return new BrokerError('no-such-tile', 'the published checkpoint implies no such tile')
}

/** RFC 9110 section 12.5.3: named, and not with a weight of 0. `Accept-Encoding: *` alone selects identity. */
function acceptsGzip(accepted: string | string[] = ''): boolean {
  const codings = String(accepted).toLowerCase().split(',')
  return codings.some((coding) => /^\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*$)[\d.]+\s*)?$/.test(coding))
}
