import type { Config } from '../../config.js'
import { LocalClock } from '../../domain/local-time.js'
import { decideCreds, decideJwt } from '../../domain/mint.js'
import { askOf, NO_ENTITLEMENTS, policyRefusal } from '../../domain/policy-request.js'
import { loadCedar } from '../../policy/cedar.js'
import { CedarEngine } from '../../policy/cedar-engine.js'
import type { CedarSet } from '../../policy/cedar-set.js'
import type { ExplainedAsk } from '../../start/policy-line.js'
import type { Outcome } from '../outcome.js'

/** What would be decided of a mint of a session that is no child, step by step. */
export async function explain(
  asked: ExplainedAsk,
  set: CedarSet | undefined,
  config: Config,
): Promise<Outcome> {
  const { kind, role, audience, seconds } = asked
  const bounded =
    kind === 'oidc_jwt'
      ? decideJwt({ audience, role, ttlSeconds: seconds }, config.policy)
      : decideCreds({ role, durationSeconds: seconds }, config.policy)
  if ('refused' in bounded) {
    const { reason, detail } = bounded.refused
    return { code: 0, message: `refused by the settings, before any policy: ${reason}: ${detail}` }
  }
  if (!set) return { code: 0, message: 'allowed: the settings allow it, and BROKER_POLICY names no policy' }
  const engine = new CedarEngine(await loadCedar(), 'check')
  engine.prepare(set)()
  const at = asked.at ?? new Date()
  const local = new LocalClock(config.policyFiles.timezone).at(at)
  const caller = { wallet: asked.wallet, backend: 'embedded', agent: asked.agent, child: undefined }
  const decision = engine.decide({
    caller,
    ask: askOf(bounded.granted),
    at,
    local,
    entitlements: NO_ENTITLEMENTS,
  })
  const refusal = policyRefusal(decision)
  const by = decision.policies.length === 0 ? 'no policy' : decision.policies.join(', ')
  return {
    code: 0,
    message: [
      refusal ? `refused: ${refusal.reason}: ${refusal.detail}` : 'allowed',
      `by: ${by}`,
      `at: ${at.toISOString()}, weekday ${local.weekday}, ${local.hour}:${String(local.minute).padStart(2, '0')} in ${config.policyFiles.timezone}`,
      `policy: ${decision.policySha256}`,
    ].join('\n'),
  }
}
