// Whom STS says it gave credentials to, compared with whom they were asked for. AWS writes every one of these members.

import type { StsKind } from '../config/aws.js'
import { failure } from './sts-failure.js'
import type { WebIdentity } from './sts.js'

/** As the SDK gives them: nothing about them is believed yet. */
export interface StsIdentity {
  SubjectFromWebIdentityToken?: string | undefined
  Audience?: string | undefined
  Provider?: string | undefined
  SourceIdentity?: string | undefined
}

export function checkWebIdentity(
  answer: StsIdentity,
  roleArn: string,
  { asked, kind }: { asked: WebIdentity; kind: StsKind },
): void {
  mustBe('SubjectFromWebIdentityToken', answer.SubjectFromWebIdentityToken, [asked.subject])
  if (kind === 's3-compatible') return checkOptional(answer, asked)
  mustBe('Audience', answer.Audience, [asked.audience])
  mustBe('Provider', answer.Provider, providerNames(roleArn, asked.issuer))
  if (asked.sourceIdentity !== undefined) return checkSourceIdentity(answer, asked.sourceIdentity)
  if (answer.SourceIdentity) throw mismatch('SourceIdentity')
}

/** SeaweedFS and MinIO repeat the subject alone. What a server says beyond that must be right; its name of a provider is its own. */
function checkOptional({ Audience, SourceIdentity }: StsIdentity, asked: WebIdentity): void {
  if (Audience) mustBe('Audience', Audience, [asked.audience])
  if (SourceIdentity && SourceIdentity !== asked.sourceIdentity) throw mismatch('SourceIdentity')
}

export function checkSourceIdentity({ SourceIdentity }: StsIdentity, asked: string): void {
  mustBe('SourceIdentity', SourceIdentity, [asked])
}

/** The API reference says `iss`; what comes over the wire is the ARN of the IAM provider, in the role's account. */
function providerNames(roleArn: string, issuer: string): string[] {
  const [, partition, , , account] = roleArn.split(':')
  const bare = issuer.replace(/^https?:\/\//, '')
  return [issuer, bare, `arn:${partition}:iam::${account}:oidc-provider/${bare}`]
}

function mustBe(member: keyof StsIdentity, given: string | undefined, expected: readonly string[]): void {
  if (!given) throw failure('empty-response', `STS answered 200 without ${member}`)
  if (!expected.includes(given)) throw mismatch(member)
}

/** The value is another party's, so it is not repeated. */
function mismatch(member: keyof StsIdentity) {
  return failure('credentials-unusable', `STS answered 200 with another ${member} than was asked for`)
}
