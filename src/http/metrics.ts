import { Controller, Get, Injectable, Res } from '@nestjs/common'
import type { FastifyReply } from 'fastify'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

import type { StsOutcome } from '../aws/measured-sts.js'
import type { ErrorReason } from '../domain/errors.js'
import { Policies } from '../policy/policies.js'
import { KeysView } from '../projections/signing-keys.js'
import { Projector } from '../projections/projector.js'
import { Ledger } from '../ledger/ledger.js'
import { stderrLog } from '../logging.js'
import type { Connections } from './connections.js'

interface RequestLabels {
  method: string
  route: string
  outcome: string
}

/** What Prometheus reads. Labels come from closed sets: never a wallet, never anything a caller chose. */
@Injectable()
export class Metrics {
  readonly registry = new Registry()
  private readonly requests: Counter<keyof RequestLabels>
  private readonly seconds: Histogram<'route'>
  private readonly refusals: Counter<'reason'>
  private readonly sts: Histogram<'outcome'>
  private rendering: Promise<Buffer> | undefined

  constructor(ledger: Ledger, projector: Projector, keys: KeysView, policies: Policies) {
    const registers = [this.registry]
    collectDefaultMetrics({ register: this.registry, prefix: 'agentkeys_' })
    // Gauges with a counter's suffix, which Prometheus's linter refuses; those by type have the same numbers.
    for (const what of ['handles', 'requests', 'resources'])
      this.registry.removeSingleMetric(`agentkeys_nodejs_active_${what}_total`)
    this.requests = new Counter({
      name: 'agentkeys_requests_total',
      help: 'Requests by route and outcome (ok, or the error kind).',
      labelNames: ['method', 'route', 'outcome'],
      registers,
    })
    this.seconds = new Histogram({
      name: 'agentkeys_request_seconds',
      help: 'Time to answer, in seconds.',
      labelNames: ['route'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    })
    this.refusals = new Counter({
      name: 'agentkeys_refusals_total',
      help: 'Requests that were refused or failed, by reason.',
      labelNames: ['reason'],
      registers,
    })
    this.sts = new Histogram({
      name: 'agentkeys_sts_seconds',
      help: 'Time that STS took to open a session, retries included, in seconds, by outcome (ok, or the failure code).',
      labelNames: ['outcome'],
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20],
      registers,
    })
    this.watchWitnesses(ledger)
    const gauge = this.gauge.bind(this)
    gauge(
      'agentkeys_ledger_checkpoint_timestamp_seconds',
      'When the newest checkpoint was signed, unix time.',
      () => seconds(ledger.checkpointAt),
    )
    gauge(
      'agentkeys_signing_key_activated_timestamp_seconds',
      'When the signing key in use was activated, unix time; 0 while there is none.',
      () => seconds(keys.activatedAt()),
    )
    this.watchPolicies(policies)
    gauge('agentkeys_log_lines_lost', 'Log lines that could not be written.', () => stderrLog.lost)
    gauge('agentkeys_ledger_entries', 'Entries known to be durable.', () => ledger.size)
    gauge('agentkeys_ledger_ok', '1 while the ledger takes entries.', () => Number(ledger.status().ok))
    if (ledger.contention) {
      const { contention } = ledger
      gauge('agentkeys_ledger_appends', 'Group appends tried.', () => contention.appends)
      gauge(
        'agentkeys_ledger_appends_lost',
        'Group appends another broker was faster than.',
        () => contention.lost,
      )
      gauge(
        'agentkeys_ledger_appends_failed',
        'Group appends the ledger did not confirm.',
        () => contention.failed,
      )
    }
    gauge('agentkeys_projection_lag_entries', 'Entries the read models have not seen yet.', () =>
      Math.max(0, ledger.size - projector.position),
    )
  }

  /** Where there is a policy, or a candidate for one. */
  private watchPolicies(policies: Policies): void {
    const gauge = this.gauge.bind(this)
    if (policies.status()) {
      const status = () => policies.status()
      gauge('agentkeys_policy_stale', '1 while the policy in force is not that of its folder.', () =>
        Number(status()?.stale !== undefined),
      )
      gauge(
        'agentkeys_policy_errors',
        'Mints refused because the policy failed.',
        () => status()?.errors ?? 0,
      )
    }
    if (policies.candidateStatus()) {
      const candidate = () => policies.candidateStatus() ?? { decisions: 0, differences: 0 }
      gauge('agentkeys_policy_candidate_decisions', 'Mints that the candidate was asked of.', () => {
        return candidate().decisions
      })
      gauge('agentkeys_policy_candidate_differences', 'Mints that it would decide otherwise.', () => {
        return candidate().differences
      })
    }
  }

  watch(connections: Connections): void {
    this.gauge('agentkeys_connections', 'Open connections.', () => connections.count)
    this.gauge('agentkeys_requests_under_way', 'Requests under way, weighed by what they cost.', () => {
      return connections.underWay
    })
  }

  /** Rendered once for all that wait for it, and sent from one buffer. */
  text(): Promise<Buffer> {
    this.rendering ??= this.registry
      .metrics()
      .then((text) => Buffer.from(text))
      .finally(() => (this.rendering = undefined))
    return this.rendering
  }

  observe(labels: RequestLabels, seconds: number): void {
    this.requests.inc(labels)
    this.seconds.observe({ route: labels.route }, seconds)
  }

  refused(reason: ErrorReason): void {
    this.refusals.inc({ reason })
  }

  stsAnswered(outcome: StsOutcome, seconds: number): void {
    this.sts.observe({ outcome }, seconds)
  }

  /** Labels are the names of the policy, which the operator writes. */
  private watchWitnesses(ledger: Ledger): void {
    if (ledger.witnesses.length === 0) return
    const registers = [this.registry]
    new Gauge({
      name: 'agentkeys_witness_cosigned_timestamp_seconds',
      help: 'When the witness last cosigned a checkpoint for this process, unix time; 0 if it has not.',
      labelNames: ['witness'],
      registers,
      collect() {
        for (const { name, cosignedAt } of ledger.witnesses) this.set({ witness: name }, seconds(cosignedAt))
      },
    })
    new Gauge({
      name: 'agentkeys_witness_ok',
      help: '1 while the witness answers as it must.',
      labelNames: ['witness'],
      registers,
      collect() {
        for (const { name, problem } of ledger.witnesses) this.set({ witness: name }, Number(!problem))
      },
    })
  }

  private gauge(name: string, help: string, value: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect: function () {
        this.set(value())
      },
    })
  }
}

const seconds = (time: Date | undefined) => (time === undefined ? 0 : time.getTime() / 1000)

@Controller('metrics')
export class MetricsController {
  constructor(private readonly metrics: Metrics) {}

  @Get()
  async text(@Res() reply: FastifyReply): Promise<void> {
    await reply.type(this.metrics.registry.contentType).send(await this.metrics.text())
  }
}
