// The bucket itself: create, head, policy.

import { decide } from '../../../src/domain/iam/decide.js'
import { parsePolicy } from '../../../src/domain/iam/policy.js'
import { arnOf } from './access.js'
import { S3Error } from './errors.js'
import type { Bucket } from './store.js'
import type { S3Answer, S3Call, S3World } from './world.js'

/** A bucket that is not there yet has no policy and no owner: the user's own policies decide. */
export function createBucket(world: S3World, { asker, request }: S3Call): S3Answer {
  if (asker.kind !== 'user') throw new S3Error('AccessDenied', 'only a configured user creates buckets here')
  const { user } = asker
  const decision = decide(
    { identity: user.policies, sameAccount: true },
    {
      principal: { type: 'AWS', names: [user.arn] },
      action: 's3:CreateBucket',
      resource: arnOf(request.bucket),
      context: new Map(),
    },
  )
  if (decision !== 'allowed') throw new S3Error('AccessDenied', `User: ${user.arn} may not s3:CreateBucket`)
  world.buckets.create(request.bucket, user.account)
  return { headers: { location: `/${request.bucket}` } }
}

export function headBucket(world: S3World, call: S3Call): S3Answer {
  allowed(world, call, 's3:ListBucket')
  return {}
}

export function putBucketPolicy(world: S3World, call: S3Call): S3Answer {
  const bucket = allowed(world, call, 's3:PutBucketPolicy')
  const text = call.payload.toString()
  try {
    const parsed = parsePolicy(JSON.parse(text), 'the bucket policy', { kind: 'resource' })
    bucket.policy = { text, parsed }
  } catch (error) {
    throw new S3Error('MalformedPolicy', (error as Error).message)
  }
  return { status: 204 }
}

export function getBucketPolicy(world: S3World, call: S3Call): S3Answer {
  const { policy } = allowed(world, call, 's3:GetBucketPolicy')
  if (!policy) throw new S3Error('NoSuchBucketPolicy', 'The bucket policy does not exist')
  return { headers: { 'content-type': 'application/json' }, body: Buffer.from(policy.text) }
}

export function deleteBucketPolicy(world: S3World, call: S3Call): S3Answer {
  allowed(world, call, 's3:DeleteBucketPolicy').policy = undefined
  return { status: 204 }
}

function allowed(world: S3World, { asker, request }: S3Call, action: string): Bucket {
  const bucket = world.buckets.get(request.bucket)
  world.access.require(asker, bucket, { action })
  return bucket
}
