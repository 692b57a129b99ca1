import { type DynamicModule, type FactoryProvider, Module } from '@nestjs/common'
import { CqrsModule } from '@nestjs/cqrs'

import { MeasuredSts } from './aws/measured-sts.js'
import { Sts } from './aws/sts.js'
import type { Parts } from './start/broker.js'
import { MintAuthorizer } from './commands/mint-authorizer.js'
import { ChangeCutOffHandler } from './commands/change-cut-off.js'
import { ChangeKeysHandler } from './commands/change-keys.js'
import { CreateGrantHandler, RevokeGrantHandler } from './commands/change-grant.js'
import { DecideApprovalHandler } from './commands/decide-approval.js'
import { MintApprovals } from './commands/mint-approvals.js'
import { IdempotentMints } from './commands/idempotent-mints.js'
import { MintAwsCredsHandler } from './commands/mint-aws-creds.js'
import { MintOidcJwtHandler } from './commands/mint-oidc-jwt.js'
import { RefusalCounter } from './commands/refusal-counter.js'
import { Config } from './config.js'
import { MintLimits } from './domain/mint-limits.js'
import { MintPolicy } from './domain/mint.js'
import { ReleasePolicy } from './domain/release.js'
import { EventStore } from './event-store/event-store.js'
import { ApprovalController } from './http/approval.controller.js'
import { ApprovalReader } from './http/approval-reader.js'
import { ApprovalWaits } from './http/approval-waits.js'
import { AuditController } from './http/audit.controller.js'
import { CutOffController } from './http/cut-off.controller.js'
import { DescriptionController } from './http/description.controller.js'
import { GrantController } from './http/grant.controller.js'
import { HealthController } from './http/health.controller.js'
import { Metrics, MetricsController } from './http/metrics.js'
import { MintController } from './http/mint.controller.js'
import { Operators } from './http/operator.js'
import { Readiness } from './http/readiness.js'
import { AuditAccess } from './http/audit-access.js'
import { WellKnownController } from './http/well-known.controller.js'
import { KeysController } from './http/keys.controller.js'
import { LedgerController } from './http/ledger.controller.js'
import { Ledger } from './ledger/ledger.js'
import { KeyAnnouncer } from './oidc/announce-key.js'
import { TokenSigner } from './oidc/token-signer.js'
import { AuditQuery } from './projections/audit-query.js'
import { Projector } from './projections/projector.js'
import { PublishedTiles } from './projections/published-tiles.js'
import { KeysView } from './projections/signing-keys.js'
import { Policies } from './policy/policies.js'
import { SessionBackend } from './session/session-backend.js'

const CONTROLLERS = [
  MintController,
  WellKnownController,
  DescriptionController,
  AuditController,
  CutOffController,
  GrantController,
  ApprovalController,
  KeysController,
  LedgerController,
  HealthController,
  MetricsController,
]

/** The table of contents: everything that serves a request, made of the parts that broker.ts opened. */
@Module({})
export class AppModule {
  static of(parts: Parts): DynamicModule {
    return {
      module: AppModule,
      imports: [CqrsModule.forRoot()],
      controllers: CONTROLLERS,
      providers: [
        { provide: Config, useValue: parts.config },
        { provide: MintPolicy, useValue: parts.policy },
        { provide: Policies, useValue: parts.policies },
        { provide: ReleasePolicy, useValue: parts.config.release },
        { provide: SessionBackend, useValue: parts.sessions },
        { provide: Ledger, useValue: parts.ledger },
        { provide: TokenSigner, useValue: parts.signer },
        { provide: KeyAnnouncer, useValue: parts.announcer },
        measured(parts.sts),
        { provide: EventStore, useValue: parts.store },
        { provide: PublishedTiles, useValue: parts.tiles },
        { provide: Projector, useValue: parts.projector },
        { provide: KeysView, useValue: parts.keys },
        { provide: AuditQuery, useValue: parts.audit },
        { provide: RefusalCounter, useValue: parts.refusals },
        { provide: AuditAccess, useValue: new AuditAccess(parts.sessions, parts.auditorToken) },
        {
          provide: Operators,
          useValue: new Operators(parts.operatorToken, parts.config.approvals.approvers),
        },
        { provide: MintLimits, useValue: new MintLimits(parts.config.limits) },
        { provide: IdempotentMints, useValue: new IdempotentMints() },
        { provide: ApprovalWaits, useValue: new ApprovalWaits() },
        ApprovalReader,
        MintApprovals,
        DecideApprovalHandler,
        MintAuthorizer,
        ChangeCutOffHandler,
        ChangeKeysHandler,
        CreateGrantHandler,
        RevokeGrantHandler,
        MintOidcJwtHandler,
        MintAwsCredsHandler,
        Metrics,
        Readiness,
      ],
    }
  }
}

/** What AWS is asked passes the metrics. */
function measured(sts: Sts): FactoryProvider<Sts> {
  return {
    provide: Sts,
    useFactory: (metrics: Metrics) => new MeasuredSts(sts, (...how) => metrics.stsAnswered(...how)),
    inject: [Metrics],
  }
}
