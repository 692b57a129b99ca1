// ARNs of roles, and of the sessions that STS opens for them: AWS's, and those of S3-compatible servers.

/**
 * `arn:<partition>:iam::<account>:role/<path><name>`. Ceph and MinIO leave the account out (`arn:aws:iam:::role/…`), SeaweedFS
 * its colon as well (`arn:aws:iam::role/…`), and the partition of MinIO is `minio`.
 */
const ROLE_ARN =
  /^arn:(?<partition>[a-z][a-z0-9-]*):iam::(?<account>\d{12}:|:|)role\/(?:[\x21-\x7e]+\/)?(?<role>[\w+=,.@-]+)$/

/** What an entry accepts: what a server takes for a role's path and name is for the server to say. */
export const ROLE_ARN_SHAPE = /^arn:[a-z][a-z0-9-]*:iam::(?:\d{12}:|:)?role\/[\x21-\x7e]+$/

/**
 * Whether `assumedRoleArn` is `arn:<partition>:sts::<account>:assumed-role/<name>/<session name>` of the role. It has the
 * role's name without its path. IAM compares role names without regard to case.
 */
export function isSessionOf(assumedRoleArn: string, roleArn: string, roleSessionName: string): boolean {
  const { partition, account, role } = ROLE_ARN.exec(roleArn)?.groups ?? {}
  if (!partition || account === undefined || !role) return false
  const [prefix, assumedRole, session, ...rest] = assumedRoleArn.split('/')
  return (
    prefix === `arn:${partition}:sts::${account}assumed-role` &&
    assumedRole?.toLowerCase() === role.toLowerCase() &&
    session === roleSessionName &&
    rest.length === 0
  )
}
